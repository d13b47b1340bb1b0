"""Groups: how they are written, and that two spellings of one meaning are one."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseapp.errors import BadParameterError
from sseapp.query.filters import Filter
from sseapp.query.groups import MAX_DEPTH, MAX_LENGTH
from sseapp.query.query import parse as parse_query
from sseapp.tables.table import Column, Table

COLUMNS = (
    Column("a", "integer", "int4"),
    Column("b", "integer", "int4"),
    Column("s", "text", "text"),
    Column("or", "integer", "int4"),
    Column("x.y", "integer", "int4"),
    Column("j", "jsonb", "jsonb"),
    Column("tags", "text[]", "_text", "a"),
    Column("size", "box", "box"),
    Column("shape", "geometry[]", "_geometry", "a", as_text=True),
)
TABLE = Table(1, 1, "public", "t", None, None, COLUMNS, 0)


def parse(*arguments) -> Filter:
    return parse_query(TABLE, arguments).filter


@pytest.mark.parametrize(
    ("arguments", "canonical"),
    [
        ([("or", "(a.eq.1,b.gt.2)")], "or(a=eq.1,b=gt.2)"),
        ([("or", "(a.eq.1,and(b.gt.2,s.lt.x))")], "or(a=eq.1,and(b=gt.2,s=lt.x))"),
        ([("not.or", "(a.eq.1,b.gt.2)")], "a=neq.1&b=lte.2"),
        ([("not.and", "(a.eq.1,b.in.(1,2))")], "or(a=neq.1,b=not.in.1,2)"),
        ([("and", "(a.eq.1,b.eq.2)")], "a=eq.1&b=eq.2"),
        ([("or", "(a.eq.1)")], "a=eq.1"),
        ([("or", "(a.eq.1,or(b.eq.2,or(a.eq.1)))")], "or(a=eq.1,b=eq.2)"),
        ([("or", "(b.eq.2,a.eq.1)"), ("or", "(a.eq.1,b.eq.2)")], "or(a=eq.1,b=eq.2)"),
        ([("or", "(a.eq.1,not.and(b.eq.2,not.or(s.eq.x,a.eq.3)))")], "or(a=eq.1,a=eq.3,b=neq.2,s=eq.x)"),
        ([("or", "(a.not.eq.1,s.not.like.x*,a.not.is.null)")], "or(a=is.not_null,a=neq.1,s=not.like.x%25)"),
        ([("a", "not.in.(2,1)"), ("s", "not.is.null")], "a=not.in.1,2&s=is.not_null"),
        ([("a", "not.in.(1)")], "a=neq.1"),
        ([("a", "not.gte.1")], "a=lt.1"),
        ([("s", "like.a*_")], "s=like.a%25_"),
        ([("or", '(s.eq."a,b)(",s.eq."q\\"",s.in.("a,b",c))')], "or(s=eq.a%2Cb%29%28,s=eq.q%22,s=in.a%2Cb,c)"),
        ([("or", '("or".eq.1,"x.y".eq.2)')], "or(or=eq.1,x.y=eq.2)"),
        ([("or", "( a.eq.1, b.eq.2)")], "or(a=eq.1,b=eq.2)"),
        ([("or", "(s.eq.,s.is.null)")], "or(s=eq.,s=is.null)"),
        ([('"or"', "eq.1")], "or=eq.1"),
        ([("j->>kind", "eq.paid")], "j->>kind=eq.paid"),
        ([("j->a b->0->>x.y", "eq.1")], "j->a%20b->[0]->>x.y=eq.1"),
        ([('"j"->"0"->>"q""->"', "eq.1")], "j->0->>q%22-%3E=eq.1"),
        ([("j->n", "gt.3.0"), ("j->n", "eq.3")], "j->n=eq.3&j->n=gt.3"),
        ([("tags->0", 'in.("a",2)')], "tags->[0]=in.%22a%22,2"),
        ([("or", '(j->>kind.eq."a,b",j->s.eq."a",j->s.eq.3,j->"k.l".eq.true)')],
         "or(j->>kind=eq.a%2Cb,j->k.l=eq.true,j->s=eq.%22a%22,j->s=eq.3)"),
    ],
)  # fmt: skip
def test_a_filter_has_one_canonical_text(arguments, canonical):
    assert parse(*arguments).canonical == canonical


REFUSED = [
    (("or", "a.eq.1"), "A group starts with a parenthesis"),
    (("or", "eq.1"), r'quote it: "or"=eq\.1'),
    (("or", "()"), r"A condition is <column>\.<op>\.<value>"),
    (("or", "(a.eq.1"), "A comma or a closing parenthesis is missing"),
    (("or", "(a.eq.1))"), "Nothing may follow"),
    (("or", "(a.eq.1;b.eq.2)"), "whole number"),
    (("or", "(a)"), "A condition is"),
    (("or", "(a.1)"), r"The operator is missing; did you mean a\.eq\.1\?"),
    (("or", "(a.eq)"), r"The value is missing; write a\.eq\.<value>"),
    (("or", "(a.ilike.1)"), "ilike is not available"),
    (("or", "(nope.eq.1)"), "'nope' is not a column of public.t"),
    (("or", '(s.eq."a)'), "A comma or a closing parenthesis is missing, at"),
    (("or", "(s.eq.a(b)"), "A comma or a closing parenthesis"),
    (("or", "(a.in.1,2)"), "Write the list in parentheses"),
    (("or", "(or.eq.1)"), r'Quote a column of that name: "or"\.eq\.1'),
    (("or", "(not.a.eq.1)"), r"negate a condition as id\.not\.eq\.1"),
    (("or", "(" * (MAX_DEPTH + 1)), "A condition is"),
    (("or", "(or" * MAX_DEPTH + "(a.eq.1" + ")" * (MAX_DEPTH + 1)), "nested more than 10 deep"),
    (("or", "(" + ",".join(f"a.eq.{number}" for number in range(101)) + ")"), "more than 100 conditions"),
    (("or", "x" * (MAX_LENGTH + 1)), "longer than 50000"),
    (("or", '(s.eq.x")'), "A comma or a closing parenthesis is missing"),
    (("s->a", "eq.1"), "is text; -> works on json, jsonb, arrays and composites only"),
    (("size->a", "eq.1"), "-> works on json"),
    (("shape->0", "eq.1"), "-> works on json"),
    (("nope->a", "eq.1"), "'nope->a' is not a column"),
    (("->a", "eq.1"), "is not a column"),
    (("j->", "eq.1"), "is not a path|is not a column"),
    (("j->a->", "eq.1"), "is not a path"),
    (("j->>a->b", "eq.1"), "is not a path"),
    (("j" + "->a" * 21, "eq.1"), "is not a path"),
    (("j->a", "like.x"), r"like does not mean the same .* It takes eq neq gt gte lt lte in is \(j->a is a path"),
    (("j->>a", "is.true"), "'true' cannot follow `is` here; write null or not_null"),
    (("j->a", "eq.paid"), "->> compares text"),
    (("j->a", 'gt."x"'), "is not a number"),
    (("s", "like.a\\"), "is not a pattern: a pattern cannot end in a backslash"),
    (("tags", "like.a"), "like does not mean the same"),
]


@pytest.mark.parametrize(
    ("encoding", "argument", "hint"),
    [
        ("LATIN1", ("j->>\u20ac", "eq.a"), "encoding LATIN1 cannot hold the key"),
        ("LATIN1", ("s", "like.\u20ac"), "encoding LATIN1 cannot hold the pattern"),
        ("SQL_ASCII", ("s", "like._"), "SQL_ASCII"),
    ],
)
def test_what_an_encoding_cannot_do_is_refused(encoding, argument, hint):
    with pytest.raises(BadParameterError, match=hint):
        parse_query(replace(TABLE, encoding=encoding), [argument])


@pytest.mark.parametrize(("argument", "hint"), REFUSED)
def test_a_refusal_names_the_parameter_and_says_what_to_write(argument, hint):
    with pytest.raises(BadParameterError, match=hint) as refusal:
        parse(argument)
    assert refusal.value.parameter == argument[0]


def test_as_many_conditions_in_groups_as_outside():
    many = ",".join(f"a.eq.{number}" for number in range(60))
    with pytest.raises(BadParameterError, match="more than 100") as refusal:
        parse(("or", f"({many})"), ("and", f"({many})"))
    assert refusal.value.parameter == "and"


CELLS = {"a": (None, 1, 2), "b": (None, 1, 2), "s": (None, "x", "y")}
ROWS = [dict(zip(CELLS, values, strict=True)) for values in product(*CELLS.values())]
LEAVES = st.sampled_from(
    ["a.eq.1", "a.not.eq.1", "a.in.(1,2)", "a.not.in.(1,2)", "b.gt.1", "b.not.gt.1", "a.is.null", "b.not.is.null",
     "s.like.x%", "s.not.like.x%", "s.eq.y"]
)  # fmt: skip
TREES = st.recursive(
    LEAVES,
    lambda inner: st.tuples(
        st.sampled_from(["or", "and", "not.or", "not.and"]), st.lists(inner, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=8,
)


def _written(tree):
    return tree if isinstance(tree, str) else f"{tree[0]}({','.join(map(_written, tree[1]))})"


def _leaf(text, row):
    """The truth of a condition as SQL has it: ``None`` is unknown."""
    name, _, rest = text.partition(".")
    negated, value = rest.startswith("not."), row[name]
    operator, _, literal = rest.removeprefix("not.").partition(".")
    if operator == "is":
        return (value is None) is not negated
    if value is None:
        return None
    members = ["1", "2"] if operator == "in" else [literal]
    found = {"gt": str(value) > literal, "like": str(value).startswith("x")}.get(operator, str(value) in members)
    return found is not negated


def _truth(tree, row):
    if isinstance(tree, str):
        return _leaf(tree, row)
    kind, parts = tree[0].removeprefix("not."), [_truth(part, row) for part in tree[1]]
    decides = kind == "or"
    found = decides if decides in parts else None if None in parts else not decides
    return (None if found is None else not found) if tree[0].startswith("not.") else found


@given(TREES)
def test_negation_is_that_of_three_valued_logic(tree):
    filter_ = parse(("and", f"({_written(tree)})"))
    for row in ROWS:
        members = {
            name: "null" if value is None else f'"{value}"' if name == "s" else str(value)
            for name, value in row.items()
        }
        assert filter_.matches(members) == (_truth(tree, row) is True), (filter_.canonical, row)


@given(TREES, st.randoms())
def test_the_order_of_terms_does_not_matter(tree, chance):
    def shuffled(one):
        return (
            one if isinstance(one, str) else (one[0], tuple(map(shuffled, chance.sample(one[1] * 2, len(one[1]) * 2))))
        )

    first, second = parse(("and", f"({_written(tree)})")), parse(("and", f"({_written(shuffled(tree))})"))
    assert first == second
    assert first.canonical == second.canonical
    assert hash(first) == hash(second)
