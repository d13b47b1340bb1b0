from __future__ import annotations

import pytest
from harness.exactly_once.batches import halves
from harness.exactly_once.queries import Query
from harness.exactly_once.subscriber import Span, Told

from sseapp.log.cursor import Cursor, Scope, Snapshot, encode

FIRST, SECOND = {"id": 1}, {"id": 2}


class History:
    """A transaction, 5, that inserted two rows."""

    def rows(self, question, at):  # noqa: ARG002  # as the rig's has it
        return {1: FIRST, 2: SECOND} if at.sees(5) else {}


@pytest.mark.parametrize(("heard", "whole"), [(0, True), (1, False), (2, True)])
def test_half_a_transaction_at_the_end_of_a_batch_is_found(heard, whole):
    scope = Scope.of("00000000-0000-0000-0000-000000000000", "1 ")
    told = [Told("insert", row["id"], row, None, "5") for row in (FIRST, SECOND)]
    upto = Snapshot(6) if heard else Snapshot(5)
    span = Span("", {}, told, [(heard, encode(Cursor(upto), scope))])
    assert (halves(span, {}, History(), Query("item", "id")) == []) is whole


def test_within_a_batch_it_may_be_half_of_one():
    scope = Scope.of("00000000-0000-0000-0000-000000000000", "1 ")
    span = Span(
        "", {}, [Told("insert", 1, FIRST, None, "5")], [(1, encode(Cursor(Snapshot(6), 3, Snapshot(5)), scope))]
    )
    assert halves(span, {}, History(), Query("item", "id")) == []
