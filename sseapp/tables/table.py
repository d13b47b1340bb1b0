"""What subscribers may know of a watched table: its names, key and visible columns."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Column:
    """One visible column.

    ``type`` is what ``format_type`` prints (``numeric(10,2)``); ``base`` is the ``typname`` below any domain
    (``int4``, ``timestamptz``, ``bpchar``); ``kind`` is ``pg_type.typtype`` of that base type
    (``b`` base, ``e`` enum, ``c`` composite, ``r`` range, ``m`` multirange), or ``a`` for an array.
    ``labels`` are those of an enum, in declared order. ``as_text`` says that the column's JSON is its text, not what
    the type's own cast to json makes of it: see ``sseapp/sql/install/column_json.sql``. ``schema`` is that of an
    enum. ``has_implicit_cast`` says that it is an enum of which PostgreSQL makes another type unasked.
    """

    name: str
    type: str
    base: str
    kind: str = "b"
    labels: tuple[str, ...] = ()
    as_text: bool = False
    schema: str = ""
    has_implicit_cast: bool = False

    @property
    def has_json_paths(self) -> bool:
        """Whether ``->`` can follow the column: rows show it as a JSON object or array."""
        is_json = self.kind == "b" and self.base in ("json", "jsonb")
        return not self.as_text and (is_json or self.kind in ("a", "c"))


@dataclass(frozen=True, slots=True)
class Table:
    """A watched table at one generation of its watch.

    ``watch`` is the number of the watch, ``oid`` that of the relation. ``key`` is ``None`` where only the whole row
    identifies a row. ``range`` is the column of ``start``, ``end`` and ``last``. ``generation`` counts the resets, of
    which the latest happened for ``reason``; whatever belongs to an older generation is invalid.
    ``only`` means: read with ONLY, without inheritance children, because the triggers do not see those either.
    ``place`` is the position of its schema in the search path, ``None`` outside it. ``encoding`` is the database's.
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
    encoding: str = "UTF8"
    by_name: dict[str, Column] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"
