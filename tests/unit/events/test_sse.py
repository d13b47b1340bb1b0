from __future__ import annotations

import pytest
from harness.sse import Parser
from hypothesis import given
from hypothesis import strategies as st

from sseapp.events import sse

LINE_SEPARATOR, PARAGRAPH_SEPARATOR, NEXT_LINE = "\u2028", "\u2029", "\u0085"


def _e(text):
    return text.encode()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (sse.event("insert", '{"row":{}}'), b'event: insert\ndata: {"row":{}}\n\n'),
        (sse.event("insert", "{}", id="a1~2!xy"), b"event: insert\ndata: {}\nid: a1~2!xy\n\n"),
        (sse.event("bye", ""), b"event: bye\ndata: \n\n"),
        (sse.body("update", "1") + sse.ending("7"), b"event: update\ndata: 1\nid: 7\n\n"),
        (sse.body("update", "1") + sse.ending(None), b"event: update\ndata: 1\n\n"),
        # each line end of the standard starts a further data line, CRLF being one
        (sse.event("x", "a\nb"), b"event: x\ndata: a\ndata: b\n\n"),
        (sse.event("x", "a\rb"), b"event: x\ndata: a\ndata: b\n\n"),
        (sse.event("x", "a\r\nb"), b"event: x\ndata: a\ndata: b\n\n"),
        (sse.event("x", "a\n\rb"), b"event: x\ndata: a\ndata: \ndata: b\n\n"),
        (sse.event("x", "a\n\nb"), b"event: x\ndata: a\ndata: \ndata: b\n\n"),
        (sse.event("x", "\n"), b"event: x\ndata: \ndata: \n\n"),
        (
            sse.event("x", "a\n\nevent: bye\nid: 1\n\n"),
            b"event: x\ndata: a\ndata: \ndata: event: bye\ndata: id: 1\ndata: \ndata: \n\n",
        ),
        # and what others take for line ends starts none
        (sse.event("x", f"a{LINE_SEPARATOR}b{PARAGRAPH_SEPARATOR}c"), _e("event: x\ndata: a\u2028b\u2029c\n\n")),
        (sse.event("x", f"a{NEXT_LINE}b\vc\fd\x1ce"), _e("event: x\ndata: a\u0085b\vc\fd\x1ce\n\n")),
        (sse.event("x", "a\0b"), b"event: x\ndata: a\0b\n\n"),
        (sse.event("x", "\ufeff"), _e("event: x\ndata: \ufeff\n\n")),
        (sse.event("x", " a: b"), b"event: x\ndata:  a: b\n\n"),
        (sse.event("x", "ä😀"), _e("event: x\ndata: ä😀\n\n")),
        (sse.heartbeat("{}"), b":\nevent: state\ndata: {}\n\n"),
        (sse.comment("one\ntwo\r\nthree"), b": one\n: two\n: three\n\n"),
        (sse.comment(""), b": \n\n"),
        (sse.comment("x\n\nevent: bye\ndata:"), b": x\n: \n: event: bye\n: data:\n\n"),
        (sse.retry(2000), b"retry: 2000\n\n"),
        (sse.heartbeat("{}", "abc"), b":\nevent: state\ndata: {}\nid: abc\n\n"),
    ],
)
def test_bytes(written, expected):
    assert written == expected


@pytest.mark.parametrize("injected", ["a\nb", "a\rb", "a\r\nb", "a\0b", "\n", "\0"])
@pytest.mark.parametrize(
    "write",
    [
        lambda text: sse.event("x", "", id=text),
        lambda text: sse.event(text, ""),
        sse.ending,
        lambda text: sse.heartbeat("", text),
        lambda text: sse.body(text, ""),
    ],
)
def test_no_field_injects_another(write, injected):
    with pytest.raises(ValueError, match="inject"):
        write(injected)


@pytest.mark.parametrize("harmless", [LINE_SEPARATOR, PARAGRAPH_SEPARATOR, NEXT_LINE, "\t", "ä"])
def test_other_characters_are_no_line_ends_in_a_field(harmless):
    assert sse.ending(f"a{harmless}b") == f"id: a{harmless}b\n\n".encode()


TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\r\n\0:\u2028 "), max_size=40)


@given(st.lists(st.tuples(TEXT, st.none() | st.text(st.sampled_from("abc09-_.~!"), min_size=1))), st.data())
def test_a_client_reads_just_what_was_sent_whatever_the_pieces(events, data):
    stream = b"".join(sse.event("update", text, id=one) for text, one in events)
    parser, blocks, at = Parser(), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, 200))
        blocks += parser.feed(stream[at : at + size])
        at += size
    parser.finish()
    assert [block.name for block in blocks] == ["update"] * len(events)
    assert [block.data for block in blocks] == [text.replace("\r\n", "\n").replace("\r", "\n") for text, _ in events]
    assert [block.id for block in blocks] == [one for _, one in events]
