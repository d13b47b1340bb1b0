"""What subscribers may know of a watched table: its names, key and visible columns."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Column:
    """One visible column.

    ``type`` is what ``format_type`` prints (``numeric(10,2)``); ``base`` is the ``typname`` below any domain
    (``int4``, ``timestamptz``, ``bpchar``); ``kind`` is ``pg_type.typtype`` of that base type
    (``b`` base, ``e`` enum, ``c`` composite, ``r`` range, ``m`` multirange), or ``a`` for an array.
    ``labels`` are an enum's, in declared order. ``as_text`` says that its JSON is its text, whatever the type's own
    cast to json would make of it: see ``sseapp/sql/forms.sql``.
    """

    name: str
    type: str
    base: str
    kind: str = "b"
    labels: tuple[str, ...] = ()
    as_text: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A watched table as of one generation.

    ``watch`` is the number of the watch, ``oid`` the relation's. ``key`` is ``None`` where only the whole row
    identifies a row. ``generation`` counts the resets, the last one for ``reason``: what is of an older one no longer
    serves.
    ``only`` says that children by inheritance are left out (a plain parent), as the triggers leave them out.
    ``place`` is that of its schema in the search path, ``None`` if it is not in it.
    """

    watch: int
    oid: int
    schema: str
    name: str
    key: tuple[str, ...] | None
    range: str | None
    columns: tuple[Column, ...]
    generation: int
    only: bool = True
    place: int | None = 0
    reason: str | None = None
    by_name: dict[str, Column] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"
