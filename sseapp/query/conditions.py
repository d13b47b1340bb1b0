"""One condition of a filter, in PostgREST's form: ``<column>=<op>.<value>``, or ``not.<op>.<value>``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sseapp.errors import BadParameterError
from sseapp.messages import excerpt
from sseapp.query.operands import Operand
from sseapp.query.operators import NEGATED, ORDERING, PATTERNS, Operator
from sseapp.query.patterns import Pattern
from sseapp.tables import encodings
from sseapp.tables.json_types import JsonScalar
from sseapp.tables.value_type import Comparison, Literal

MAX_MEMBERS = 1000
"""The longest list of ``in``."""
STRING = r'"(?:[^"\\]|\\.)*"'
"""A value in double quotes; a backslash escapes the next character."""

_COMPARING = {name: Operator(name) for name in ("eq", "neq", "gt", "gte", "lt", "lte", "in", "like")}
_OF_POSTGREST = frozenset(
    ("ilike", "match", "imatch", "isdistinct", "fts", "plfts", "phfts", "wfts", "cs", "cd", "ov", "sl", "sr", "adj")
)
_MEMBER = re.compile(rf'(?:(?P<string>{STRING})|(?P<plain>[^,"]*))(?P<end>,|$)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of one operand. The literals of ``in`` are sorted and without repetition; ``is`` has none."""

    operand: Operand
    operator: Operator
    literals: tuple[Literal, ...] = ()
    canonical: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        values = ",".join(quote(literal.text, safe=":+") for literal in self.literals)
        text = f"{self.operand.canonical}={self.operator.value}" + (f".{values}" if self.literals else "")
        object.__setattr__(self, "canonical", text)

    def negated(self) -> Condition:
        """The opposite condition. Neither takes a null, as in SQL; ``is.null`` and ``is.not_null`` aside."""
        return Condition(self.operand, NEGATED[self.operator], self.literals)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a condition was written: in ``parameter``, behind ``lead`` (``id=``, or ``id.`` in a group)."""

    parameter: str
    lead: str
    tz: ZoneInfo
    encoding: str = encodings.UTF8

    def error(self, detail: str) -> BadParameterError:
        """The error for this condition."""
        return BadParameterError(detail, parameter=self.parameter)


def parse(operand: Operand, text: str, source: Source, *, is_quoted: bool = False) -> Condition:
    """Parse ``[not.]<op>.<value>``. Raises :exc:`~sseapp.errors.BadParameterError` that says what to write instead.

    ``is_quoted`` is for groups: there the value of any operator may be in double quotes.
    """
    is_negated = text.startswith("not.")
    rest = text.removeprefix("not.")
    name, dot, value = rest.partition(".")
    if name == "is" and dot:
        found = _parse_is(operand, value, source)
    else:
        operator = _COMPARING.get(name) if dot else None
        if operator is None:
            _refuse_operator(operand, rest, source)
        found = _parse_comparison(operand, operator, value, source, is_quoted=is_quoted)
    return found.negated() if is_negated else found


def _parse_comparison(operand: Operand, operator: Operator, text: str, source: Source, *, is_quoted: bool) -> Condition:
    _require(operand, operator, source)
    if operator in PATTERNS:
        return Condition(operand, operator, (_pattern(_unquoted(text) if is_quoted else text, source),))
    if operator in ORDERING:
        operand = operand.numeric
    value_type = operand.value_type
    # a JSON value's own quotes tell a string from a number
    keeps_quotes = isinstance(value_type, JsonScalar)
    if operator is Operator.IN:
        texts = [text if keeps_quotes else _unquoted(text) for text in _members(text, source)]
    else:
        texts = [_unquoted(text) if is_quoted and not keeps_quotes else text]
    found = {value_type.literal(one, tz=source.tz, parameter=source.parameter) for one in texts}
    literals = tuple(sorted(found, key=lambda literal: literal.text))
    if operator is Operator.IN and len(literals) == 1:
        operator = Operator.EQ
    return Condition(operand, operator, literals)


def _pattern(text: str, source: Source) -> Literal:
    try:
        pattern = Pattern(text)
    except ValueError as error:
        raise source.error(f"{excerpt(text)} is not a pattern: {error}.") from None
    if not encodings.can_hold(source.encoding, text):
        raise source.error(f"The database's encoding {source.encoding} cannot hold the pattern {excerpt(text)}.")
    if pattern.has_one and source.encoding == encodings.SQL_ASCII:
        raise source.error("`_` has no meaning in a database of encoding SQL_ASCII, which does not know characters.")
    return Literal(pattern.text, pattern)


def _refuse_operator(operand: Operand, text: str, source: Source) -> NoReturn:
    name, dot, _ = text.partition(".")
    if name in _OF_POSTGREST and dot:
        problem = f"{name} is not available: SQL and live changes would not agree on what it takes."
    elif name in _COMPARING or name == "is":
        problem = f"The value is missing; write {source.lead}{name}.<value>."
    elif operand.value_type.comparable:
        problem = f"The operator is missing; did you mean {source.lead}eq.{text[:40]}?"
    else:
        problem = f"The operator is missing; did you mean {source.lead}is.not_null?"
    raise source.error(f"{problem} {_allowed(operand)}")


def _allowed_names(operand: Operand) -> list[str]:
    value_type = operand.value_type
    names = ["eq", "neq"] if value_type.comparable else []
    if operand.numeric.value_type.ordered:
        names += ["gt", "gte", "lt", "lte"]
    names += ["in"] if value_type.comparable else []
    return [*names, *(["like"] if value_type.comparison is Comparison.CODE_POINT else []), "is"]


def _allowed(operand: Operand) -> str:
    return f"It takes {' '.join(_allowed_names(operand))} ({operand.value_type.described})."


def _require(operand: Operand, operator: Operator, source: Source) -> None:
    if operator.value not in _allowed_names(operand):
        raise source.error(
            f"{operator.value} does not mean the same to SQL and to live changes here. {_allowed(operand)}"
        )


def _parse_is(operand: Operand, what: str, source: Source) -> Condition:
    lower = what.lower()
    if lower in ("null", "not_null"):
        return Condition(operand, Operator("is." + lower))
    is_boolean = operand.path is None and operand.column.base == "bool" and operand.column.kind == "b"
    if is_boolean and lower in ("true", "false"):
        return Condition(operand, Operator.EQ, (Literal(lower, lower == "true"),))
    known = "null, not_null, true or false" if is_boolean else "null or not_null"
    raise source.error(f"{excerpt(what)} cannot follow `is` here; write {known} ({operand.value_type.described}).")


def _unquoted(text: str) -> str:
    """``text`` without the double quotes it may be in."""
    return _ESCAPED.sub(r"\1", text[1:-1]) if text.startswith('"') else text


def _members(text: str, source: Source) -> list[str]:
    """The members of ``(a,b,"c,d")``, as they are written."""
    if len(text) < 2 or text[0] != "(" or text[-1] != ")":  # noqa: PLR2004 - two parentheses
        raise source.error('Write the list in parentheses: in.(a,b,"c,d").')
    if text == "()":
        raise source.error('The list is empty. For an empty text write in.("").')
    members, position, inner = [], 0, text[1:-1]
    while True:
        match = _MEMBER.match(inner, position)
        if match is None:
            raise source.error(
                "Put a member with a comma or a quote in double quotes, and a backslash before each quote in it: "
                'in.("a,b","say \\"hi\\"").'
            )
        members.append(match["plain"] if match["string"] is None else match["string"])
        if len(members) > MAX_MEMBERS:
            raise source.error(f"The list has more than {MAX_MEMBERS} members.")
        if not match["end"]:
            return members
        position = match.end()
