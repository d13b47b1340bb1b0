"""What a stream is told when it ends: when to come again, each client at a time of its own."""

from __future__ import annotations

import re

import pytest

from sseapp.delivery.subscription import bye, refused_stream
from sseapp.errors import UnavailableError


@pytest.mark.parametrize(
    ("ending", "least", "most"),
    [(lambda: bye(2.0), 1000, 2000), (lambda: refused_stream(UnavailableError("full"), 2.0), 2000, 4000)],
    ids=["bye", "refused_stream"],
)
def test_not_all_come_back_at_once(ending, least, most):
    times = [int(re.search(rb"^retry: (\d+)$", ending(), re.MULTILINE)[1]) for _ in range(100)]
    assert least <= min(times) < least + (most - least) / 4
    assert most - (most - least) / 4 < max(times) <= most
