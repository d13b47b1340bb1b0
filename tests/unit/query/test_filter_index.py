"""The index finds what testing every filter finds, and does not test every filter."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from sseapp.errors import ShapeChangedError
from sseapp.query.filter_index import FilterIndex
from sseapp.query.filters import Filter
from sseapp.query.query import parse as parse_query
from sseapp.tables.table import Column, Table

TABLE = Table(
    1,
    1,
    "public",
    "orders",
    ("id",),
    "at",
    (
        Column("id", "int", "int4"),
        Column("at", "int", "int4"),
        Column("s", "text", "text"),
        Column("f", "float", "float8"),
        Column("j", "jsonb", "jsonb"),
    ),
    0,
)
SMALL = st.integers(0, 9)
TEXT = st.sampled_from("abc")


def parse(*arguments: tuple[str, str]) -> Filter:
    return parse_query(TABLE, arguments).filter


CONDITIONS = st.one_of(
    st.tuples(
        st.sampled_from(["id", "at"]),
        st.builds("{}.{}".format, st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte"]), SMALL),
    ),
    st.tuples(st.just("s"), st.builds("{}.{}".format, st.sampled_from(["eq", "neq", "gt", "lte"]), TEXT)),
    st.tuples(
        st.just("id"), st.lists(SMALL, min_size=1, max_size=4).map(lambda ids: f"in.({','.join(map(str, ids))})")
    ),
    st.tuples(st.just("s"), st.lists(TEXT, min_size=1, max_size=3).map(lambda texts: f"in.({','.join(texts)})")),
    st.tuples(st.sampled_from(["id", "at", "s"]), st.sampled_from(["is.null", "is.not_null"])),
    st.tuples(
        st.just("f"), st.sampled_from(["eq.NaN", "gte.NaN", "lt.NaN", "gt.Infinity", "lte.-Infinity", "eq.-0", "gte.0"])
    ),
)
LEAVES = st.one_of(
    CONDITIONS.filter(lambda condition: "NaN" not in condition[1]),
    st.tuples(st.just("s"), st.sampled_from(["like.a%", "like.%b", "not.like.a%", "like._", "not.in.(a,b)"])),
    st.tuples(
        st.just("j->k"), st.sampled_from(["eq.1", 'eq."a"', 'in.(1,"a",true)', "gt.1", "lte.1", "is.null", "neq.1"])
    ),
    st.tuples(
        st.just("j->>k"), st.sampled_from(["eq.1", "eq.a", "in.(1,a)", "gt.1", "lte.b", "is.not_null", "like.a*"])
    ),
)
GROUPS = st.recursive(
    LEAVES.map(".".join),
    lambda inner: st.builds(
        lambda kind, terms: f"{kind}({','.join(terms)})",
        st.sampled_from(["or", "or", "and", "not.and"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=5,
).map(lambda text: ("and", f"({text})"))
FILTERS = st.lists(CONDITIONS | LEAVES | GROUPS, max_size=3).map(lambda asked: parse(*asked))
ROWS = st.fixed_dictionaries(
    {
        "id": st.just("null") | SMALL.map(str),
        "at": st.just("null") | SMALL.map(str),
        "s": st.just("null") | TEXT.map('"{}"'.format),
        "f": st.sampled_from(["null", '"NaN"', '"Infinity"', '"-Infinity"', "0", "-0", "1.5"]),
        "j": st.sampled_from(
            ["null", "3", '{"k":1}', '{"k":"a"}', '{"k":"ab"}', '{"k":true}', '{"k":null}', '{"k":[1]}']
        ),
    }
)


class IndexMachine(RuleBasedStateMachine):
    """Filters come and go; the index always agrees with the list of them."""

    kept = Bundle("kept")

    def __init__(self) -> None:
        super().__init__()
        self.index: FilterIndex[int] = FilterIndex()
        self.items: dict[int, Filter] = {}
        self.number = 0

    @rule(target=kept, filter_=FILTERS)
    def add(self, filter_):
        self.number += 1
        self.index.add(filter_, self.number)
        self.items[self.number] = filter_
        return self.number

    @rule(item=consumes(kept))
    def remove(self, item):
        self.index.remove(self.items.pop(item), item)

    @rule(rows=st.lists(ROWS, min_size=1, max_size=8))
    def match(self, rows):
        for row in rows:
            found = list(self.index.matching(row))
            assert sorted(found) == sorted(item for item, filter_ in self.items.items() if filter_.matches(row))

    @invariant()
    def holds_what_it_was_given(self):
        assert sorted(self.index) == sorted(self.items)
        assert len(self.index) == len(set(self.items.values()))
        assert bool(self.index._root) == bool(self.items)
        assert set(self.index._types) == {key for filter_ in self.items.values() for key in filter_.operands}


IndexMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
TestIndex = IndexMachine.TestCase


def test_items_of_one_filter_share_one_entry():
    index: FilterIndex[str] = FilterIndex()
    index.add(parse(("id", "eq.1")), "a")
    index.add(parse(("id", "in.(1)")), "b")
    index.add(parse(("id", "eq.1")), "a")
    assert len(index) == 1
    assert index.matching({"id": "1"}) == ["a", "b"]
    index.remove(parse(("id", "eq.1")), "a")
    assert index.matching({"id": "1"}) == ["b"]


def test_whether_all_rows_match_all_filters():
    index, narrow = FilterIndex(), parse(("id", "eq.1"))
    assert index.takes_all
    index.add(Filter(), "all")
    assert index.takes_all
    index.add(narrow, "some")
    assert not index.takes_all
    index.remove(narrow, "some")
    assert index.takes_all


def test_removing_what_is_not_there_changes_nothing():
    index: FilterIndex[str] = FilterIndex()
    index.remove(Filter(), "a")
    index.add(Filter(), "a")
    index.remove(Filter(), "b")
    assert list(index) == ["a"]


def test_only_the_filters_that_a_row_may_match_are_tested(monkeypatch):
    tested = []
    index: FilterIndex[int] = FilterIndex()
    for number in range(100):
        index.add(parse(("s", "eq.a"), ("start", str(number)), ("end", str(number))), number)
        index.add(parse(("s", "eq.b"), ("id", f"eq.{number}")), number)
        index.add(parse(("start", str(number)), ("s", "neq.a")), number)
        index.add(parse(("f", "is.null"), ("id", f"gt.{number}"), ("id", f"lt.{number}")), number)
        index.add(parse(("f", "is.not_null"), ("id", f"in.({number},{number + 500},{number + 600})")), number)
        index.add(parse(("s", "in.(a,c)"), ("id", f"in.({number},{number + 1},{number + 2})")), number)
        index.add(parse(("s", "in.(a,b,c)"), ("id", f"in.({number + 500},{number + 600})")), number)
        index.add(parse(("s", "is.null"), ("id", "neq.3"), ("f", "neq.1"), ("at", f"neq.{number}")), number)
    accepts = Filter.accepts
    monkeypatch.setattr(Filter, "accepts", lambda self, row: tested.append(self.canonical) or accepts(self, row))
    assert index.matching({"id": "7", "at": "1", "s": '"b"', "f": "null"}) == [7, 0, 1]
    # the two that begin before the row, its equality, the list with its id, and the interval that ends there
    assert len(tested) == 5


def test_an_or_is_kept_under_each_of_its_parts(monkeypatch):
    tested = []
    index: FilterIndex[int] = FilterIndex()
    for number in range(500):
        index.add(parse(("or", f"(id.eq.{number},at.eq.{number + 1})")), number)
        index.add(parse(("or", f"(id.eq.{number},and(at.gt.{number},at.lt.{number + 3},id.neq.4))")), 1000 + number)
        index.add(parse(("or", f"(id.eq.{number},s.like.x{number:03d}%)"), ("f", "is.not_null")), 2000 + number)
        index.add(parse(("or", f"(j->k.eq.{number},and(j->>kind.in.(k{number},l{number}),id.gt.3))")), 3000 + number)
        index.add(parse(("or", f"(id.eq.{number},s.eq.t{number})"), ("or", "(at.neq.1,f.neq.2)")), 4000 + number)
        index.add(parse(("or", f"(id.eq.{number},and(or(s.eq.u{number},f.is.null),at.eq.{-number}))")), 5000 + number)
    accepts = Filter.accepts
    monkeypatch.setattr(Filter, "accepts", lambda self, row: tested.append(self.canonical) or accepts(self, row))
    row = {"id": "7", "at": "7", "s": '"x009"', "f": "1", "j": '{"k":3,"kind":"l8"}'}
    assert sorted(index.matching(row)) == [6, 7, 1005, 1006, 1007, 2007, 2009, 3003, 3008, 4007, 5007]
    # besides those, two that have an open interval end at the row
    assert len(tested) == 13


def test_a_filter_with_too_many_places_is_tested_on_every_row():
    index: FilterIndex[str] = FilterIndex()
    members = ",".join(map(str, range(600)))
    index.add(parse(("or", f"(id.in.({members}),at.in.({members}))")), "many")
    index.add(parse(("or", f"(id.in.({members}),at.eq.1)")), "some")
    assert len(index._root._rest) == 1
    assert index.matching({"id": "7", "at": "null"}) == ["many", "some"]
    index.remove(parse(("or", f"(id.in.({members}),at.in.({members}))")), "many")
    assert not index._root._rest


def test_filters_come_and_go_by_the_hundred():
    chance = random.Random(3)
    index: FilterIndex[int] = FilterIndex()
    asked = [
        [("at", f"gte.{low}"), ("at", f"lt.{low + chance.randrange(30)}"), ("s", f"eq.{chance.choice('abc')}")]
        for low in chance.choices(range(200), k=400)
    ]
    kept = {number: parse(*chance.sample(one, 3 - number % 3)) for number, one in enumerate(asked)}
    for number, filter_ in kept.items():
        index.add(filter_, number)
    row = {"id": "1", "f": "null"}
    while kept:
        number = chance.choice(list(kept))
        index.remove(kept.pop(number), number)
        row |= {"at": str(chance.randrange(230)), "s": f'"{chance.choice("abc")}"'}
        assert sorted(index.matching(row)) == [n for n, filter_ in sorted(kept.items()) if filter_.matches(row)]
    assert not index._root


def test_of_several_bounds_the_tightest_counts(monkeypatch):
    tested = []
    index: FilterIndex[int] = FilterIndex()
    index.add(parse(("at", "gte.2"), ("at", "gt.5"), ("at", "lt.8"), ("at", "lte.9"), ("id", "gt.0")), 1)
    accepts = Filter.accepts
    monkeypatch.setattr(Filter, "accepts", lambda self, row: tested.append(row["at"]) or accepts(self, row))
    found = [at for at in range(12) if index.matching({"id": "1", "at": str(at)})]
    assert found == [6, 7]
    # the interval is closed, so its open ends are tested too
    assert tested == [5, 6, 7, 8]


def test_a_missing_column_means_the_shape_has_changed():
    index: FilterIndex[str] = FilterIndex()
    index.add(parse(("id", "eq.1")), "a")
    with pytest.raises(ShapeChangedError):
        index.matching({"s": '"a"'})
