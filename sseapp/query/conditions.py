"""One condition of a filter, in PostgREST's form: ``<column>=<op>.<value>``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sseapp.errors import BadParameterError
from sseapp.messages import excerpt
from sseapp.query.operators import ORDERING, Operator
from sseapp.tables.column_types import column_type
from sseapp.tables.table import Column
from sseapp.tables.value_type import Literal

MAX_MEMBERS = 1000
"""The longest list of ``in``."""

_VALUED = {operator.value: operator for operator in Operator if "." not in operator.value}
_MEMBER = re.compile(r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^,"]*))(?P<end>,|$)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of one column. The literals of ``in`` are sorted and without repetition; ``is`` has none."""

    column: Column
    operator: Operator
    literals: tuple[Literal, ...] = ()
    canonical: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        values = ",".join(quote(literal.text, safe=":+") for literal in self.literals)
        text = f"{quote(self.column.name, safe='')}={self.operator.value}" + (f".{values}" if self.literals else "")
        object.__setattr__(self, "canonical", text)


def parse(column: Column, text: str, *, tz: ZoneInfo, parameter: str) -> Condition:
    """Parse ``<op>.<value>``. Raises :exc:`~sseapp.errors.BadParameterError` that says what to write instead."""
    name, dot, rest = text.partition(".")
    if name == "is" and dot:
        return _parse_is(column, rest, parameter)
    operator = _VALUED.get(name) if dot else None
    if operator is None:
        _refuse_operator(column, text, parameter)
    _require(column, operator, parameter)
    texts = _members(rest, parameter) if operator is Operator.IN else [rest]
    value_type = column_type(column)
    found = {value_type.literal(one, tz=tz, parameter=parameter) for one in texts}
    literals = tuple(sorted(found, key=lambda literal: literal.text))
    if operator is Operator.IN and len(literals) == 1:
        operator = Operator.EQ
    return Condition(column, operator, literals)


def _refuse_operator(column: Column, text: str, parameter: str) -> NoReturn:
    name, dot, _ = text.partition(".")
    if name == "not" and dot:
        problem = "There is no `not`; use neq, is.not_null or the opposite comparison."
    elif name in _VALUED or name == "is":
        problem = f"The value is missing; write {parameter}={name}.<value>."
    elif column_type(column).comparable:
        problem = f"The operator is missing; did you mean {parameter}=eq.{text[:40]}?"
    else:
        problem = f"The operator is missing; did you mean {parameter}=is.not_null?"
    raise BadParameterError(f"{problem} {_operators_of(column)}", parameter=parameter)


def _operators_of(column: Column) -> str:
    value_type = column_type(column)
    names = ["eq", "neq", "gt", "gte", "lt", "lte", "in"] if value_type.ordered else ["eq", "neq", "in"]
    allowed = " ".join([*(names if value_type.comparable else []), "is"])
    return f"The column {excerpt(column.name)} ({column.type}) takes {allowed}."


def _require(column: Column, operator: Operator, parameter: str) -> None:
    value_type = column_type(column)
    if not value_type.comparable or (operator in ORDERING and not value_type.ordered):
        raise BadParameterError(
            f"{operator.value} does not mean the same to SQL and to live changes here. {_operators_of(column)}",
            parameter=parameter,
        )


def _parse_is(column: Column, what: str, parameter: str) -> Condition:
    lower = what.lower()
    if lower in ("null", "not_null"):
        return Condition(column, Operator("is." + lower))
    if lower in ("true", "false") and column.base == "bool" and column.kind == "b":
        return Condition(column, Operator.EQ, (Literal(lower, lower == "true"),))
    known = "null, not_null, true or false" if column.base == "bool" else "null or not_null"
    raise BadParameterError(
        f"{excerpt(what)} cannot follow `is` on the column {excerpt(column.name)} ({column.type}); write {known}.",
        parameter=parameter,
    )


def _members(text: str, parameter: str) -> list[str]:
    """The members of ``(a,b,"c,d")``. Within quotes, a backslash escapes the next character."""
    if len(text) < 2 or text[0] != "(" or text[-1] != ")":  # noqa: PLR2004 - two brackets
        raise BadParameterError('Write the list in parentheses: in.(a,b,"c,d").', parameter=parameter)
    if text == "()":
        raise BadParameterError('The list is empty. For an empty text write in.("").', parameter=parameter)
    members, position, inner = [], 0, text[1:-1]
    while True:
        match = _MEMBER.match(inner, position)
        if match is None:
            raise BadParameterError(
                "Put a member with a comma or a quote in double quotes, and a backslash before each quote in it: "
                'in.("a,b","say \\"hi\\"").',
                parameter=parameter,
            )
        quoted = match["quoted"]
        members.append(match["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL))
        if len(members) > MAX_MEMBERS:
            raise BadParameterError(f"The list has more than {MAX_MEMBERS} members.", parameter=parameter)
        if not match["end"]:
            return members
        position = match.end()
