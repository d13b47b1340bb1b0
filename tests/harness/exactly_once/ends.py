"""The last change of each transaction on a stream says so, and no other."""

from __future__ import annotations

from collections.abc import Sequence

from harness.exactly_once.subscriber import Span, Told

from sseapp.events.ring import FRAME_SIZE

_NEAR = 100
"""Events that may be read in one piece with the last one of a transaction."""


def misplaced(span: Span, *, is_cut: bool) -> list[str]:
    """What is wrong with the ends that were told. A span that ``is_cut`` may end within transactions."""
    last = {told.xid: place for place, told in enumerate(span.told)}
    wrong = [
        f"event {place} of transaction {told.xid} is told as its end, and event {last[told.xid]} follows"
        for place, told in enumerate(span.told)
        if told.is_end and last[told.xid] != place
    ]
    if not is_cut:
        wrong += [
            f"the end of transaction {xid} was not told"
            for xid, place in last.items()
            if not span.told[place].is_end and not _is_much(span.told[place : place + _NEAR])
        ]
    return wrong


def _is_much(told: Sequence[Told]) -> bool:
    """Whether so much would have to wait for the end that it does not: see docs/http.md."""
    return 3 * sum(len(str(one.row)) + len(str(one.old)) for one in told) > FRAME_SIZE
