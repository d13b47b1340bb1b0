"""What an error says of itself, and to whom."""

from __future__ import annotations

import errno

from sseapp import errors


def test_what_the_database_says_is_not_for_answers():
    error = errors.ConnectionLostError(cause='could not translate host name "db.internal"')
    assert "db.internal" in str(error)
    assert error.detail == "The database cannot be reached."


def test_a_change_of_shape_is_a_reset_with_a_reason_of_its_own():
    error = errors.ShapeChangedError("A row has no column 'a'.")
    assert isinstance(error, errors.ResetError)
    assert (error.reason, error.detail) == (errors.ResetError.reason, "A row has no column 'a'.")
    assert errors.ResetError("renamed").reason == "renamed"
    assert errors.ResetError().reason == errors.ResetError.reason


def test_a_hand_over_looks_like_a_client_that_has_gone():
    assert errors.HandedOverError().errno == errno.ENOTCONN
