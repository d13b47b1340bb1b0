"""Conditions joined by ``or`` and ``and``, in PostgREST's form: ``or=(status.eq.new,and(total.gt.100,paid.is.true))``.

``not`` is carried inwards to the conditions, as De Morgan has it. That holds for unknown (NULL) conditions, too, and
leaves only ``and`` and ``or``. There an unknown condition makes the same difference as a false one: none takes the row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias
from zoneinfo import ZoneInfo

from sseapp.messages import excerpt
from sseapp.query import conditions, operands
from sseapp.query.conditions import STRING, Condition, Source
from sseapp.query.parameters import QUOTED
from sseapp.tables.table import Table

MAX_DEPTH = 10
MAX_LENGTH = 50_000
"""The longest text of a group."""
NAMES = ("or", "and", "not.or", "not.and")

AND, OR = "and", "or"
_OTHER = {AND: OR, OR: AND}
_NESTED = re.compile(r" *(not\.)?(and|or)(?=\()")
_OPERAND = re.compile(rf' *((?:{QUOTED}|[^.,()"])+)\.', re.DOTALL)
_OPERATOR = re.compile(r"(?:not\.)?[a-z]+\.")
_LIST = re.compile(rf'\((?:{STRING}|[^"()])*\)', re.DOTALL)
_VALUE = re.compile(rf'{STRING}|[^,()"]*', re.DOTALL)
_EXAMPLE = 'or=(status.eq.new,and(total.gt.100,name.like."a,b%"))'


@dataclass(frozen=True, slots=True)
class Group:
    """Two or more terms of which all (``and``) or at least one (``or``) must be true. :func:`join` makes it.

    The terms are sorted and without repetition, and none is a group of the same kind: so two spellings are equal.
    """

    kind: str
    terms: tuple[Term, ...]
    canonical: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "canonical", f"{self.kind}({','.join(term.canonical for term in self.terms)})")

    def negated(self) -> Term:
        """The opposite group."""
        return join(_OTHER[self.kind], (term.negated() for term in self.terms))


Term: TypeAlias = Condition | Group


def join(kind: str, terms: Iterable[Term]) -> Term:
    """The term that joins ``terms``, of which there is at least one."""
    found = normalized(kind, terms)
    return found[0] if len(found) == 1 else Group(kind, found)


def normalized(kind: str, terms: Iterable[Term]) -> tuple[Term, ...]:
    """``terms`` sorted and without repetition; a group of the same ``kind`` gives way to its own terms."""
    flat: dict[str, Term] = {}
    for term in terms:
        inner = term.terms if isinstance(term, Group) and term.kind == kind else (term,)
        flat.update((one.canonical, one) for one in inner)
    return tuple(flat[canonical] for canonical in sorted(flat))


def leaves(terms: Iterable[Term]) -> Iterator[Condition]:
    """The conditions of ``terms``, those within groups, too."""
    for term in terms:
        if isinstance(term, Group):
            yield from leaves(term.terms)
        else:
            yield term


def parse(table: Table, name: str, text: str, *, tz: ZoneInfo) -> Term:
    """Parse the group ``text`` of the parameter ``name``, one of :data:`NAMES`.

    Raises :exc:`~sseapp.errors.BadParameterError`.
    """
    source = Source(name, "", tz, table.encoding)
    if len(text) > MAX_LENGTH:
        raise source.error(f"The group is longer than {MAX_LENGTH} characters.")
    parser = _Parser(table, text, source)
    found = parser.group(name.removeprefix("not."), depth=1)
    if parser.position < len(text):
        raise parser.error("Nothing may follow the last parenthesis")
    return found.negated() if name.startswith("not.") else found


class _Parser:
    """Reads the text of one group from left to right."""

    def __init__(self, table: Table, text: str, source: Source) -> None:
        self._table = table
        self._text = text
        self._source = source
        self.position = 0

    def group(self, kind: str, depth: int) -> Term:
        """Parse ``(term,term)``."""
        if depth > MAX_DEPTH:
            raise self._source.error(f"Groups are nested more than {MAX_DEPTH} deep.")
        if not self._text.startswith("(", self.position):
            raise self.error("A group starts with a parenthesis")
        found = []
        separator = ","
        while separator == ",":
            self.position += 1
            found.append(self._term(depth))
            separator = self._text[self.position : self.position + 1]
        if separator != ")":
            raise self.error("A comma or a closing parenthesis is missing")
        self.position += 1
        return join(kind, found)

    def _term(self, depth: int) -> Term:
        match = _NESTED.match(self._text, self.position)
        if match is None:
            return self._condition()
        self.position = match.end()
        found = self.group(match[2], depth + 1)
        return found.negated() if match[1] else found

    def _condition(self) -> Condition:
        name = self._take(_OPERAND, "A condition is <column>.<op>.<value>").strip().removesuffix(".")
        if name in NAMES or name == "not":
            raise self.error(f'Quote a column of that name: "{name}".eq.1; negate a condition as id.not.eq.1')
        operand = operands.parse(self._table, name, parameter=self._source.parameter)
        operator = _OPERATOR.match(self._text, self.position)
        start = self.position
        self.position = operator.end() if operator else start
        is_list = operator is not None and operator[0].removeprefix("not.") == "in."
        value = self._take(_LIST if is_list else _VALUE, 'Write the list in parentheses: in.(a,b,"c,d")')
        source = Source(self._source.parameter, f"{name}.", self._source.tz, self._source.encoding)
        return conditions.parse(operand, self._text[start : self.position], source, is_quoted=value.startswith('"'))

    def _take(self, pattern: re.Pattern[str], problem: str) -> str:
        match = pattern.match(self._text, self.position)
        if match is None:
            raise self.error(problem)
        self.position = match.end()
        return match[0]

    def error(self, problem: str) -> Exception:
        """An error that shows where the text could not be read."""
        return self._source.error(
            f"{problem}, at {excerpt(self._text[self.position : self.position + 40])}. An example: {_EXAMPLE}."
        )
