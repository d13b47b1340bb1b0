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


def test_a_refused_statement_is_told_to_clients_by_its_sqlstate():
    error = errors.DatabaseError(cause="permission denied for table ledger", sqlstate="42501")
    assert error.detail.endswith("(SQLSTATE 42501).")
    assert "ledger" not in error.detail
    assert errors.DatabaseError("The log is full.", sqlstate="53100").detail == "The log is full."


def test_a_cursor_that_is_no_longer_valid_says_why():
    error = errors.CursorGoneError("the log was pruned past it")
    assert (error.status, error.parameter, error.reason) == (410, "after", "the log was pruned past it")
    assert "pruned" in error.detail


def test_what_cannot_be_followed_has_the_answers_status():
    error = errors.FollowError("No such table.", status=404, parameter="table")
    assert (error.status, error.parameter, error.reason) == (404, "table", None)
    assert errors.FollowError("Gone.").status == 0
