"""Durations as settings and parameters write them."""

from __future__ import annotations

import pytest

from sseapp import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("15", 15),
        ("15s", 15),
        ("1.5s", 1.5),
        ("2m", 120),
        ("1h", 3600),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("0", 0),
    ],
)
def test_a_duration_is_a_number_with_a_unit(text, seconds):
    assert durations.seconds(text, minimum=0, maximum=1e9) == seconds


@pytest.mark.parametrize("text", ["", "s", "1y", "1 s", "-1s", "+1s", "1.s", ".5s", "1e3", "inf", "\u0663s", "9" * 10])
def test_other_text_is_not_a_duration(text):
    with pytest.raises(ValueError, match="not a duration"):
        durations.seconds(text, minimum=0, maximum=1e30)


@pytest.mark.parametrize("text", ["999ms", "61s"])
def test_the_bounds_are_inclusive(text):
    assert durations.seconds("1s", minimum=1, maximum=60) == 1
    assert durations.seconds("1m", minimum=1, maximum=60) == 60
    with pytest.raises(ValueError, match="out of range"):
        durations.seconds(text, minimum=1, maximum=60)
