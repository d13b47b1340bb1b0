"""One condition of a filter, in PostgREST's form: ``<column>=<op>.<value>``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sseapp.errors import BadParameterError
from sseapp.messages import shown
from sseapp.query.operators import ORDERING, Operator
from sseapp.tables.column_types import column_type
from sseapp.tables.table import Column
from sseapp.tables.value_type import Literal

MOST_MEMBERS = 1000
"""of ``in``"""

_VALUED = {operator.value: operator for operator in Operator if "." not in operator.value}
_MEMBER = re.compile(r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^,"]*))(?P<end>,|$)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """What one column must meet. ``in`` has its literals sorted, each once; ``is`` has none."""

    column: Column
    operator: Operator
    literals: tuple[Literal, ...] = ()
    canonical: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        values = ",".join(quote(literal.text, safe=":+") for literal in self.literals)
        text = f"{quote(self.column.name, safe='')}={self.operator.value}" + (f".{values}" if self.literals else "")
        object.__setattr__(self, "canonical", text)


def parse(column: Column, text: str, *, tz: ZoneInfo, parameter: str) -> Condition:
    """Read ``<op>.<value>``. Raises :exc:`~sseapp.errors.BadParameterError` that says what would do."""
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
    name = shown(column.name)
    if text.startswith("not."):
        hint = "There is no `not`: write neq, is.not_null, or the opposite comparison."
    else:
        hint = f"Write {parameter}=<op>.<value>, with one of {_fitting(column)}; for instance {parameter}=is.not_null."
    raise BadParameterError(f"{shown(text)} is no condition on the column {name}. {hint}", parameter=parameter)


def _fitting(column: Column) -> str:
    value_type = column_type(column)
    names = ["eq", "neq", "gt", "gte", "lt", "lte", "in"] if value_type.ordered else ["eq", "neq", "in"]
    return " ".join([*(names if value_type.comparable else []), "is"])


def _require(column: Column, operator: Operator, parameter: str) -> None:
    value_type = column_type(column)
    if not value_type.comparable or (operator in ORDERING and not value_type.ordered):
        raise BadParameterError(
            f"The column {shown(column.name)} ({column.type}) takes {_fitting(column)} only: "
            f"{operator.value} has no meaning there that SQL and live changes share.",
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
        f"'is' cannot ask the column {shown(column.name)} ({column.type}) for {shown(what)}; write {known}.",
        parameter=parameter,
    )


def _members(text: str, parameter: str) -> list[str]:
    """The members of ``(a,b,"c,d")``; a backslash within quotes takes the next character as it is."""
    if len(text) < 2 or text[0] != "(" or text[-1] != ")":  # noqa: PLR2004 - two brackets
        raise BadParameterError('Write a list in brackets: in.(a,b,"c,d").', parameter=parameter)
    if text == "()":
        raise BadParameterError('The list is empty; an empty text is written in.("").', parameter=parameter)
    members, at, inner = [], 0, text[1:-1]
    while True:
        match = _MEMBER.match(inner, at)
        if match is None:
            raise BadParameterError(
                "A member with a comma, quote or bracket is written in double quotes, and a quote within it "
                'with a backslash: in.("a,b","say \\"hi\\"").',
                parameter=parameter,
            )
        quoted = match["quoted"]
        members.append(match["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL))
        if len(members) > MOST_MEMBERS:
            raise BadParameterError(f"The list has more than {MOST_MEMBERS} members.", parameter=parameter)
        if not match["end"]:
            return members
        at = match.end()
