from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sseapp.errors import MalformedCursorError
from sseapp.log.cursor import MAX_LENGTH, Cursor, Scope, Snapshot, _check, decode, encode, event_number

MOST = (1 << 63) - 1
SCOPE = Scope.of("7411-1-16384-b0a1", "orders status=eq.paid")


def _universe(*snapshots):
    """Every xid that can tell these snapshots apart."""
    return range(1, max(snapshot.xmax for snapshot in snapshots) + 2)


def _seen(snapshot, universe):
    return {xid for xid in universe if snapshot.sees(xid)}


@st.composite
def snapshots(draw, most=30):
    xmax = draw(st.integers(1, most))
    xip = draw(st.sets(st.integers(1, most), max_size=8))
    return Snapshot(xmax, tuple(sorted(xid for xid in xip if xid < xmax)))


@st.composite
def far_snapshots(draw):
    """With the distances between transaction ids that a busy cluster has, beyond 32 bits too."""
    xip, xid = [], draw(st.integers(1, 1 << 60))
    for distance in draw(st.lists(st.integers(1, 1 << 12) | st.integers(1, 1 << 40), max_size=20)):
        if xid & 0xFFFFFFFF:
            xip.append(xid)
        xid += distance
    return Snapshot(xid, tuple(xip))


def cursors():
    positions = st.integers(0, MOST)
    return (
        st.builds(Cursor, far_snapshots())
        | st.builds(Cursor, far_snapshots(), positions)
        | st.builds(Cursor, far_snapshots(), positions, far_snapshots())
    )


@pytest.mark.parametrize(
    ("text", "snapshot"),
    [
        ("1:1:", Snapshot(1)),
        ("745:745:", Snapshot(745)),
        ("740:745:740,743", Snapshot(745, (740, 743))),
        ("8589934595:8589934599:8589934595", Snapshot(8589934599, (8589934595,))),
    ],
)
def test_a_snapshot_is_read_and_written_as_postgresql_does(text, snapshot):
    assert Snapshot.parse(text) == snapshot
    assert str(snapshot) == text


@pytest.mark.parametrize("epoch", [1, 2, 7])
def test_a_cut_at_the_last_xid_of_an_epoch_is_written_as_postgresql_takes_it(epoch):
    # it refuses a snapshot whose xmax ends in 32 zero bits; the first transaction of an epoch is 3
    cut = Snapshot((epoch << 32) + 9).cut((epoch << 32) - 1)
    first = (epoch << 32) + 3
    assert str(cut) == f"{first}:{first}:"
    assert not cut.sees(first)


@pytest.mark.parametrize(
    ("snapshot", "seen", "unseen"),
    [
        (Snapshot(1), [], [1, 2, 99]),
        (Snapshot(10), [1, 9], [10, 11]),
        (Snapshot(10, (4, 9)), [3, 5, 8], [4, 9, 10]),
    ],
)
def test_a_snapshot_sees_what_lies_below_xmax_and_is_not_in_flight(snapshot, seen, unseen):
    assert [snapshot.sees(xid) for xid in seen] == [True] * len(seen)
    assert [snapshot.sees(xid) for xid in unseen] == [False] * len(unseen)


@given(snapshots(), snapshots())
def test_contains_is_inclusion_of_sets(one, other):
    universe = _universe(one, other)
    assert one.contains(other) == (_seen(other, universe) <= _seen(one, universe))


@given(snapshots(), st.data())
def test_a_cut_snapshot_is_the_same_set_for_the_log(snapshot, data):
    logged = data.draw(st.sets(st.integers(1, 31)))
    greatest = max((xid for xid in logged if snapshot.sees(xid)), default=0)
    cut = snapshot.cut(greatest)
    assert _seen(cut, logged) == _seen(snapshot, logged)
    assert cut.greatest == greatest
    assert snapshot.contains(cut)
    assert not any(cut.sees(xid) for xid in range(greatest + 1, 40)), "an id that the log does not prove"
    assert cut.xip == tuple(xid for xid in snapshot.xip if xid < cut.xmax)
    assert cut.cut(greatest) == cut


@given(snapshots(), snapshots(), st.integers(0, 40))
def test_a_cursor_sees_what_each_of_its_parts_sees(upto, after, position):
    for xid in range(1, 32):
        for at in (0, position - 1, position, position + 1):
            assert Cursor(upto).sees(xid, at) == upto.sees(xid)
            assert Cursor(upto, position).sees(xid, at) == (upto.sees(xid) and at <= position)
            assert Cursor(upto, position, after).sees(xid, at) == (
                after.sees(xid) or (upto.sees(xid) and at <= position)
            )


@pytest.mark.parametrize(
    ("cursor", "base"),
    [
        (Cursor(Snapshot(9)), Snapshot(9)),
        (Cursor(Snapshot(9), 4), None),
        (Cursor(Snapshot(9), 4, Snapshot(5)), Snapshot(5)),
    ],
)
def test_the_base_is_what_was_sent_whole(cursor, base):
    assert cursor.base == base


@pytest.mark.parametrize(
    ("cursor", "text"),
    [
        (Cursor(Snapshot(1)), "1"),
        (Cursor(Snapshot(745)), "Be"),
        (Cursor(Snapshot(745, (740, 743))), "Be.2.3"),
        (Cursor(Snapshot(745), 63), "Be~-"),
        (Cursor(Snapshot(745), 64, Snapshot(700, (699,))), "Be~10~Ax.1"),
    ],
)
def test_a_cursor_is_written_short(cursor, text):
    body = f"a{SCOPE.epoch}{SCOPE.query}{text}"
    assert encode(cursor, SCOPE) == f"{body}!{_check(body)}"


@given(cursors())
def test_what_is_written_is_read_again(cursor):
    text = encode(cursor, SCOPE)
    assert text is not None
    assert text.isascii()
    assert not set(text) & set(' "\\,;\r\n\0'), "it travels in headers and addresses"
    assert decode(text) == (cursor, SCOPE)


@given(cursors())
def test_the_ids_of_a_batch_are_those_of_its_cursors(cursor):
    ids = SCOPE.ids(cursor.upto, cursor.after)
    assert ids.end() == encode(Cursor(cursor.upto), SCOPE)
    if cursor.event_number is not None:
        assert ids.at(cursor.event_number) == encode(cursor, SCOPE)


def test_a_usual_cursor_is_short():
    snapshot = Snapshot(2_000_000_000, tuple(range(1_999_999_990, 1_999_999_998, 2)))
    assert len(encode(Cursor(snapshot, 2 * 10**9), SCOPE)) <= 36
    assert len(encode(Cursor(Snapshot(5_000)), SCOPE)) <= 17


def _in_flight(count):
    return Snapshot(10 * count, tuple(range(5, 10 * count, 10)))


def test_a_cursor_beyond_the_bound_is_not_written():
    fits = [encode(Cursor(_in_flight(count)), SCOPE) for count in range(1, 1100)]
    lengths = [len(text) for text in fits if text is not None]
    assert max(lengths) in (MAX_LENGTH - 1, MAX_LENGTH), "the bound is used"
    assert None in fits
    assert fits.index(None) == len(lengths), "and no longer one is written"
    assert encode(Cursor(_in_flight(1100), 7, Snapshot(5)), SCOPE) is None
    assert encode(Cursor(Snapshot(20_000), 7, _in_flight(1100)), SCOPE) is None


def test_a_longer_text_is_not_even_looked_at():
    body = f"a{SCOPE.epoch}{SCOPE.query}" + ".".join(["1000", *["1"] * 1200])
    with pytest.raises(MalformedCursorError):
        decode(f"{body}!{_check(body)}")


def _signed(body):
    return f"{body}!{_check(body)}"


HEAD = f"a{SCOPE.epoch}{SCOPE.query}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42",
        "undefined",
        "a",
        HEAD,
        f"{HEAD}Ae!",
        f"{HEAD}Ae!00",
        _signed("b" + HEAD[1:] + "Ae"),  # another version
        _signed(HEAD + "0"),  # no transaction id is 0
        _signed(HEAD + "Ae.0"),  # in flight twice, or xmax itself
        _signed(HEAD + "Ae.Ae"),  # 0 in flight
        _signed(HEAD + "Ae.Af"),  # below 0
        _signed(HEAD + "400003.3"),  # 0 in the lower half of a transaction id: PostgreSQL refuses it
        _signed(HEAD + "8" + "0" * 10),  # 2**63
        _signed(HEAD + "--" + "0" * 10),
        _signed(HEAD + "1~8" + "0" * 10),
        _signed(HEAD + "1~1~0"),
        _signed(HEAD + "1~~1"),
        _signed(HEAD + "1~1~1~1"),
        _signed(HEAD + "1..1"),
        _signed(HEAD + "Ae") + "\n",
        " " + _signed(HEAD + "Be"),
        _signed(HEAD + "Ae").replace("!", "\0!"),
        HEAD + "\N{ARABIC-INDIC DIGIT ONE}!00",
        "\ud800" + _signed(HEAD + "Be"),
        "1:1:",
        "'; DROP TABLE sseapp.change; --",
    ],
)
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(MalformedCursorError):
        decode(text)


def _is_sound(cursor):
    """PostgreSQL takes both snapshots and the position."""
    for snapshot in (cursor.upto, cursor.after):
        if snapshot is not None:
            assert 0 < snapshot.xmax <= MOST
            assert all(one < other for one, other in pairwise((0, *snapshot.xip, snapshot.xmax)))
            assert all(xid & 0xFFFFFFFF for xid in snapshot.xip)
            xmin, xmax, _ = str(snapshot).split(":")
            assert int(xmin) & 0xFFFFFFFF
            assert int(xmax) & 0xFFFFFFFF
    assert cursor.event_number is None or 0 <= cursor.event_number <= MOST


@given(st.text(st.sampled_from("0123456789abcXYZ_-.~"), max_size=60))
def test_a_made_up_cursor_is_refused_or_sound(tail):
    text = _signed(HEAD + tail)
    try:
        cursor, scope = decode(text)
    except MalformedCursorError:
        return
    assert scope == SCOPE
    _is_sound(cursor)


@settings(max_examples=300)
@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda data: data.decode("latin-1")))
def test_no_text_at_all_makes_another_error(text):
    try:
        cursor, _ = decode(text)
    except MalformedCursorError:
        return
    _is_sound(cursor)


def test_a_mutated_cursor_is_all_but_never_taken_for_another():
    choose = random.Random(2)
    text = encode(Cursor(Snapshot(90_001, (88_000, 89_990)), 123_457, Snapshot(88_500)), SCOPE)
    passed = 0
    for _ in range(20_000):
        mutated = list(text)
        for _ in range(choose.randint(1, 3)):
            at = choose.randrange(len(mutated))
            change = choose.choice(["replace", "drop", "double", "swap"])
            if change == "replace":
                mutated[at] = choose.choice("0123456789abcXYZ_-.~!")
            elif change == "drop":
                del mutated[at]
            elif change == "double":
                mutated.insert(at, mutated[at])
            else:
                mutated[at], mutated[at - 1] = mutated[at - 1], mutated[at]
        try:
            decoded = decode("".join(mutated))
        except MalformedCursorError:
            continue
        if "".join(mutated) != text:
            passed += 1
            _is_sound(decoded[0])
    assert passed < 20


def test_scopes_differ_by_epoch_and_by_question():
    scopes = {Scope.of(epoch, query) for epoch in ("a", "b", "ä") for query in ("", "x", "y")}
    assert len(scopes) == 9
    assert len({scope.epoch for scope in scopes}) == 3
    assert len({scope.query for scope in scopes}) == 3
    assert Scope.of("a", "x") == Scope.of("a", "x")


@pytest.mark.parametrize(
    ("cursor", "following"),
    [
        (Cursor(Snapshot(9)), 0),
        (Cursor(Snapshot(9), event_number(7)), 8),
        (Cursor(Snapshot(9), event_number(7, first=True)), 7),
        (Cursor.behind(7, Snapshot(9), Snapshot(5)), 8),
    ],
)
def test_the_next_change_is_the_first_that_was_not_told_to_its_end(cursor, following):
    assert cursor.next_change == following


def test_who_is_behind_a_change_has_seen_both_its_events():
    cursor = Cursor.behind(7, Snapshot(9), Snapshot(5))
    assert cursor == Cursor(Snapshot(9), event_number(7), Snapshot(5))
    assert cursor.sees(8, event_number(7, first=True))
    assert cursor.sees(8, event_number(7))
    assert not cursor.sees(8, event_number(8, first=True))
