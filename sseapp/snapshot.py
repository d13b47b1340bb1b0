"""Reads the rows of a question, together with the snapshot they stand at."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2 import sql

from sseapp import statements, where
from sseapp.cursor import Snapshot
from sseapp.database import Database
from sseapp.errors import DataRejectedError, LockedError, ShapeChangedError, UndefinedError
from sseapp.filters import Filter
from sseapp.question import Question
from sseapp.rowtext import name_text
from sseapp.table import Table


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as PostgreSQL's JSON text, in the question's order; ``more`` says that its limit left some out."""

    upto: Snapshot
    rows: tuple[str, ...]
    more: bool


def read(database: Database, table: Table, question: Question, filter_: Filter) -> Rows:
    """Read the rows that ``filter_`` (the question's, as of now) takes: one statement, one snapshot.

    Raises :exc:`~sseapp.errors.ShapeChangedError` where ``table`` is no longer what it was, and
    :exc:`~sseapp.errors.LockedError` where its lock cannot be had within a second.
    """
    columns = [table.by_name[name] for name in question.columns] if question.columns else table.columns
    statement = sql.SQL(statements.named("queries")["rows"]).format(
        watch=sql.Literal(table.watch),
        columns=sql.SQL(", ").join(where.selected(column, "t") for column in columns),
        table=sql.SQL("ONLY " if table.only else "") + sql.Identifier(table.schema, table.name),
        where=where.clause(filter_, table, "t"),
        order=where.order(question, table),
        limit=sql.Literal(question.limit + 1),
    )
    try:
        found = database.query(statement)
    except LockedError:
        raise LockedError(f"{table} is locked by another transaction; try again.") from None
    except (UndefinedError, DataRejectedError):
        # a column, or an enum's label, was renamed a moment ago
        raise ShapeChangedError from None
    generation, snapshot, greatest, _ = found[0]
    if generation != table.generation:
        raise ShapeChangedError
    rows = tuple(row for *_, row in found if row is not None)
    upto = Snapshot.parse(snapshot).cut(int(greatest))
    return Rows(upto, rows[: question.limit], more=len(rows) > question.limit)


def data(table: Table, rows: Rows, *, head: str = "", tail: str = "") -> str:
    """The JSON of ``rows`` with the table's name and key: the data of ``snapshot`` and ``rows``."""
    key = "null" if table.key is None else "[" + ",".join(map(name_text, table.key)) + "]"
    more = "true" if rows.more else "false"
    return f'{{{head}"table":{name_text(str(table))},"key":{key},"rows":[{",".join(rows.rows)}],"more":{more}{tail}}}'
