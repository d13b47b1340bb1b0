"""Parsing as the HTML standard has it, whatever the pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseapp.client.event_stream import Event, EventStreamParser

CASES = {
    "three line ends": (
        b"data: a\r\rdata: b\n\ndata: c\r\n\r\n",
        [("message", "a"), ("message", "b"), ("message", "c")],
    ),
    "data of several lines": (b"data: a\ndata:\ndata: b\n\n", [("message", "a\n\nb")]),
    "U+2028 is no line end": ("data: a\u2028b\x85c\x0b\x0cd\n\n".encode(), [("message", "a\u2028b\x85c\x0b\x0cd")]),
    "a byte order mark, once": (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [("message", "a")]),
    "one space is taken off": (b"data:  a\n\ndata:b\n\n", [("message", " a"), ("message", "b")]),
    "a field without a colon": (b"data\n\ndata\ndata\n\n", [("message", ""), ("message", "\n")]),
    "a name is of one event": (b"event: x\ndata: a\n\ndata: b\n\n", [("x", "a"), ("message", "b")]),
    "no data, no event": (b"event: x\n\nevent: y\nid: 1\n\ndata: b\n\n", [("message", "b")]),
    "comments, unknown fields": (b": c\nfoo: bar\nDATA: x\n data: y\ndata: a\n\n", [("message", "a")]),
    "the end is no end": (b"data: a\n\ndata: b\n", [("message", "a")]),
    "what is no UTF-8": (b"data: \xff\n\n", [("message", "\ufffd")]),
}


@pytest.mark.parametrize("case", CASES)
def test_events_are_those_of_the_standard(case):
    stream, expected = CASES[case]
    assert [(event.name, event.data) for event in EventStreamParser().feed(stream)] == expected


@pytest.mark.parametrize("case", CASES)
@given(data=st.data())
def test_the_pieces_do_not_matter(case, data):
    stream, expected = CASES[case]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    parser = EventStreamParser()
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    told = [event for piece in pieces for event in parser.feed(piece)]
    assert [(event.name, event.data) for event in told] == expected


def test_every_byte_may_come_alone():
    for stream, expected in CASES.values():
        parser = EventStreamParser()
        told = [event for at in range(len(stream)) for event in parser.feed(stream[at : at + 1])]
        assert [(event.name, event.data) for event in told] == expected


def test_an_id_holds_from_the_end_of_its_block_on():
    parser = EventStreamParser("0")
    assert list(parser.feed(b"id: 1\ndata: a\n\ndata: b\n\n")) == [
        Event("message", "a", "1"),
        Event("message", "b", "1"),
    ]
    assert list(parser.feed(b"id: 2\n:\n")) == []
    assert parser.last_id == "1"
    assert list(parser.feed(b"\n")) == []
    assert parser.last_id == "2"
    assert list(parser.feed(b"id: 3\0\n\n")) == []
    assert parser.last_id == "2"
    assert list(parser.feed(b"id\n\n")) == []
    assert parser.last_id == ""


@pytest.mark.parametrize(
    ("text", "seconds"), [(b"1500", 1.5), (b"-1", None), (b"1.5", None), (b"\xd9\xa1", None), (b"", None), (b"0", 0)]
)
def test_retry_is_digits_or_nothing(text, seconds):
    parser = EventStreamParser()
    assert list(parser.feed(b"retry: " + text + b"\n")) == []
    assert parser.retry == seconds


def test_a_long_line_takes_time_in_proportion():
    parser = EventStreamParser()
    for _ in range(20_000):
        assert list(parser.feed(b"data: " + b"x" * 100)) == []
    (event,) = parser.feed(b"\n\n")
    assert len(event.data) == 20_000 * 106 - 6
