"""Patterns of like."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseapp.query.patterns import MAX_PATTERN, Pattern


def _as_regex(written):
    tokens = re.findall(r"\\.|.", written, re.DOTALL)
    parts = [{"%": ".*", "*": ".*", "_": "."}.get(token) or re.escape(token[-1]) for token in tokens]
    return re.compile("".join(parts), re.DOTALL)


PATTERNS = st.lists(st.sampled_from(["a", "b", "\n", "%", "*", "_", r"\%", r"\_", r"\*", r"\\", r"\a"])).map("".join)
TEXTS = st.text("ab\n%_*\\", max_size=8)


@given(PATTERNS, st.lists(TEXTS, min_size=1, max_size=10))
def test_a_pattern_takes_what_its_regex_takes(written, texts):
    pattern, regex = Pattern(written), _as_regex(written)
    least, greatest = pattern.bounds
    for text in texts:
        taken = regex.fullmatch(text) is not None
        assert pattern.matches(text) == taken, (written, text)
        if taken:
            assert least is None or least <= text
            assert greatest is None or text <= greatest


@given(PATTERNS, TEXTS)
def test_the_canonical_text_means_the_same(written, text):
    first = Pattern(written)
    assert _as_regex(first.text.replace("*", r"\*")).fullmatch(text) is not None or not first.matches(text)
    assert first.matches(text) or _as_regex(first.text.replace("*", r"\*")).fullmatch(text) is None


@pytest.mark.parametrize(
    ("written", "canonical", "prefix"),
    [
        ("a%", "a%", "a"),
        ("a**", "a%", "a"),
        ("%%a_", "%a_", ""),
        (r"\*\%\_\a\\", r"*\%\_a\\", "*%_a\\"),
        ("", "", ""),
        ("\U0010ffff%", "\U0010ffff%", "\U0010ffff"),
    ],
)
def test_equal_patterns_have_one_canonical_text(written, canonical, prefix):
    assert (Pattern(written).text, Pattern(written).prefix) == (canonical, prefix)


def test_bounds():
    assert Pattern("ab%").bounds == ("ab", "ac")
    assert Pattern("\U0010ffff%").bounds == ("\U0010ffff", None)
    assert Pattern("%a").bounds == (None, None)
    assert Pattern("a_").has_one
    assert not Pattern(r"a\_").has_one


@pytest.mark.parametrize(
    ("written", "problem"), [("a\\", "cannot end in a backslash"), ("x" * (MAX_PATTERN + 1), "500 characters at most")]
)
def test_an_impossible_pattern_is_refused(written, problem):
    with pytest.raises(ValueError, match=problem):
        Pattern(written)


def test_no_pattern_is_slow():
    began = time.process_time()
    assert not Pattern("%a" * 200 + "b").matches("a" * 100_000)
    assert time.process_time() - began < 2
