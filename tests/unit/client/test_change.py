"""An event's data: numbers exact, any depth."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sseapp.client import exact_json
from sseapp.client.change import Change
from sseapp.client.event_stream import Event


def test_a_change_has_the_members_of_its_event():
    text = '{"row":{"id":1,"n":12345678901234567890.10},"old":{"id":1,"n":0.1},"at":"2026-01-01T00:00:00","xid":"7"}'
    change = Change.of(Event("update", text, "c"))
    assert (change.event, change.at, change.xid, change.cursor) == ("update", "2026-01-01T00:00:00", "7", "c")
    assert change.row == {"id": 1, "n": Decimal("12345678901234567890.10")}
    assert change.old == {"id": 1, "n": Decimal("0.1")}
    assert change.text == text
    assert (change.watch, change.is_end) == (None, False)


def test_what_an_event_has_besides_is_in_its_data():
    change = Change.of(Event("delete", '{"old":{"id":1},"at":"","xid":"7","watch":"orders?x","end":true}', "c"))
    assert (change.row, change.watch, change.is_end) == (None, "orders?x", True)
    assert Change.of(Event("state", '{"live":true,"lag":0.004}', "c")).data == {"live": True, "lag": Decimal("0.004")}


@pytest.mark.parametrize("text", ["", "1", "[]", "{", '{"a":}', "no"])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011  # each has a message of its own
        Change.of(Event("insert", text, "c"))


@pytest.mark.parametrize("digits", [1, 18, 24, 4000, 4301, 100_000])
def test_a_whole_number_of_any_length_is_exact(digits):
    found = exact_json.loads("-" + "7" * digits)
    assert type(found) is int
    assert found == -(7 * (10**digits - 1) // 9)


@pytest.mark.parametrize("text", ["0.1", "1e300", "1.000", "-0.0", "123456789.123456789012345678901234567890"])
def test_other_numbers_keep_every_digit(text):
    assert str(exact_json.loads(text)) == str(Decimal(text))


def test_a_value_may_be_nested_to_any_depth():
    depth = 20_000
    text = '{"a":' + '[{"b,]}\\"":' * depth + '"x"' + "}]" * depth + ',"c":[],"d":{},"e":[1.5,null,true]}'
    found = exact_json.loads(text)
    assert (found["c"], found["d"], found["e"]) == ([], {}, [Decimal("1.5"), None, True])
    inner = found["a"]
    for _ in range(depth):
        inner = inner[0]['b,]}"']
    assert inner == "x"
