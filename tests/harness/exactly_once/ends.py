"""The last change of each transaction on a stream says so, and no other."""

from __future__ import annotations

from harness.exactly_once.subscriber import Span


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
            f"the end of transaction {xid} was not told" for xid, place in last.items() if not span.told[place].is_end
        ]
    return wrong
