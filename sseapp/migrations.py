"""SQL for migrations: installs sseapp and watches tables, in Alembic, in Django, or in any tool that runs SQL.

Each function returns a text of statements without BEGIN and COMMIT. It can be given to Alembic's ``op.execute`` and to
Django's ``RunSQL`` as it is: SQLAlchemy would take a colon before a word for a parameter, and there is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sseapp.errors import BadParameterError
from sseapp.postgres import schema

__all__ = ["include_name", "include_object", "install", "uninstall", "unwatch", "watch"]

_SCHEMA = "sseapp"
_TRIGGERS = "!sseapp_"  # how the names of our triggers begin
_QUALIFIED = re.compile(r'([^."]+)\.([^."]+)')


def install() -> str:
    """Install sseapp, or bring what is installed up to the version of this package. :func:`uninstall` undoes it.

    After an update of the package, a further migration with ``install()`` updates the database.
    """
    return schema.statements_of(uninstall=False)


def uninstall() -> str:
    """Remove sseapp and all watches from the database."""
    return schema.statements_of(uninstall=True)


def watch(
    table: str,
    *,
    range_column: str | None = None,
    hide: Sequence[str] = (),
    only_columns: Sequence[str] | None = None,
    subscribers_see_all_rows: bool = False,
) -> str:
    """Watch ``table`` with just these options, whatever was there before. :func:`unwatch` undoes it.

    ``table`` is a name as it stands, or as SQL has it: ``OrderItem``, ``shop.orders``, ``"Odd.Name"``. Raises
    :exc:`~sseapp.errors.BadParameterError` for a name that PostgreSQL cannot have.
    """
    arguments = [
        _relation(table),
        f"range_column => {_literal(range_column)}",
        f"hide => {_array(hide)}",
        f"only_columns => {_array(only_columns)}",
        f"subscribers_see_all_rows => {str(bool(subscribers_see_all_rows)).lower()}",
    ]
    return f"SELECT sseapp.watch({', '.join(arguments)});"


def unwatch(table: str) -> str:
    """End the watch of ``table``, and remove its triggers."""
    return f"SELECT sseapp.unwatch({_relation(table)});"


def include_object(item: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:
    """Whether Alembic's autogenerate is to look at an object: for ``context.configure(include_object=...)``.

    It is false for all that is ours: the schema ``sseapp`` and the triggers on watched tables.
    """
    del type_, reflected, compare_to
    owner = getattr(item, "table", None)
    home = getattr(item, "schema", None) or getattr(owner, "schema", None)
    return home != _SCHEMA and not (name or "").startswith(_TRIGGERS)


def include_name(name: str | None, type_: str, parent_names: Any) -> bool:
    """The same for ``context.configure(include_name=...)``, with which Alembic does not even read our tables."""
    del parent_names
    return not (type_ == "schema" and name == _SCHEMA)


def _relation(table: str) -> str:
    """The table as the rest of sseapp finds it: by the name as it stands, else as SQL reads it."""
    exact = [f"quote_ident({_literal(table)})"]
    qualified = _QUALIFIED.fullmatch(table)
    if qualified:
        exact.append(f"concat(quote_ident({_literal(qualified[1])}), '.', quote_ident({_literal(qualified[2])}))")
    found = [f"to_regclass({name})" for name in exact]
    return f"coalesce({', '.join(found)}, CAST(CAST({_literal(table)} AS text) AS regclass))"


def _array(names: Sequence[str] | None) -> str:
    if names is None:
        return "NULL"
    if isinstance(names, str):
        raise BadParameterError(f"{names!r} is one name: give a list of names.", parameter="hide or only_columns")
    return f"CAST(ARRAY[{', '.join(map(_literal, names))}] AS name[])"


def _literal(text: str | None) -> str:
    """``text`` as SQL has it, whatever standard_conforming_strings is; see above for the colon."""
    if text is None:
        return "NULL"
    if not text or "\0" in text:
        raise BadParameterError(f"{text!r} cannot be a name in PostgreSQL.", parameter="name")
    quoted = text.replace("'", "''")
    if "\\" in quoted or ":" in quoted:
        return "E'" + quoted.replace("\\", "\\\\").replace(":", "\\x3a") + "'"
    return f"'{quoted}'"
