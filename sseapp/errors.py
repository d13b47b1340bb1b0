"""All errors of sseapp, in one hierarchy.

A class's docstring is its default message. ``status`` and ``title`` are its answer over HTTP (RFC 9457).
"""

from __future__ import annotations

import errno


class SseappError(Exception):
    """Something went wrong in sseapp."""

    status = 500
    title = "Internal error"

    def __init__(self, detail: str | None = None, *, parameter: str | None = None) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip()
        self.parameter = parameter
        super().__init__(self.detail)


class BadParameterError(SseappError):
    """A parameter of the request is not valid."""

    status = 400
    title = "Bad parameter"


class ForbiddenError(SseappError):
    """This request is not allowed."""

    status = 403
    title = "Forbidden"


class NotFoundError(SseappError):
    """Not found."""

    status = 404
    title = "Not found"


class NotAcceptableError(SseappError):
    """The client accepts neither application/json nor text/event-stream."""

    status = 406
    title = "Not acceptable"


class CursorGoneError(SseappError):
    """The cursor is no longer valid; start again without it."""

    status = 410
    title = "Cursor gone"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The cursor is no longer valid: {reason}; start again without it.", parameter="after")
        self.reason = reason


class FollowError(SseappError):
    """The event stream cannot be followed, and another try would not change that."""

    title = "Cannot be followed"

    def __init__(
        self, detail: str | None = None, *, status: int = 0, parameter: str | None = None, reason: str | None = None
    ) -> None:
        super().__init__(detail, parameter=parameter)
        self.status = status  # of the answer; 0 where there was none
        self.reason = reason


class OvertakenError(SseappError):
    """Another process has moved this consumer's cursor, or is about to."""


class EndedTransactionError(SseappError):
    """The consumer's function has ended the transaction that it was given: leave COMMIT and ROLLBACK to sseapp."""


class ResetError(SseappError):
    """Subscribers have to discard their rows and start again with a snapshot; ``reason`` tells them why."""

    reason = "the table or its watch has changed"

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason or self.reason


class ShapeChangedError(ResetError):
    """A row does not fit its table as it was last read: the table's shape has changed."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__()
        self.detail = detail or self.detail
        self.args = (self.detail,)


class OverrunError(SseappError):
    """The ring no longer holds the frames that a client needs next: the client was too slow for it."""


class MalformedCursorError(SseappError):
    """This text is not a cursor of sseapp."""


class HandedOverError(OSError):
    """The broadcaster has taken over the connection.

    It is an ``OSError`` with ``ENOTCONN``, which is what gunicorn sees when a client has gone: it then lets go of the
    connection without a word. See :mod:`sseapp.delivery.gunicorn_socket`.
    """

    def __init__(self) -> None:
        super().__init__(errno.ENOTCONN, "handed over")


class UnavailableError(SseappError):
    """The service cannot answer now; try again."""

    status = 503
    title = "Unavailable"


class UnsettledError(UnavailableError):
    """The table keeps changing; try again."""


class UnreadableError(UnavailableError):
    """The rows of this table cannot be read; the server's log says why."""


class OverloadedError(UnavailableError):
    """All stream slots are in use; try again."""


class DatabaseError(UnavailableError):
    """The database refused a statement."""

    def __init__(self, detail: str | None = None, *, cause: str = "", sqlstate: str | None = None) -> None:
        """``cause`` holds the driver's words. They may name a host or a role, so only :func:`str` shows them.

        ``detail``, which goes to clients, has the SQLSTATE instead.
        """
        super().__init__(detail)
        self.sqlstate = sqlstate
        if not detail and sqlstate:
            self.detail = f"{self.detail.removesuffix('.')} (SQLSTATE {sqlstate})."
        self._cause = cause

    def __str__(self) -> str:
        return self._cause or self.detail


class ConnectionLostError(DatabaseError):
    """The database cannot be reached."""


class DeadlineError(ConnectionLostError):
    """The database did not answer in time."""


class LockedError(DatabaseError):
    """The table is locked by another transaction; try again."""


class MissingRightError(DatabaseError):
    """The database role lacks a right."""


class RowSecurityError(MissingRightError):
    """A policy hides rows of the table from the role that sseapp connects as, so no snapshot can be complete."""


class UndefinedError(DatabaseError):
    """A table, column or function does not exist."""


class NotInstalledError(UnavailableError):
    """sseapp is not installed in this database: `python -m sseapp watch TABLE` installs it."""


class OtherVersionError(UnavailableError):
    """The database has another version of sseapp: `python -m sseapp install` updates it, or says why it cannot."""


class DataRejectedError(DatabaseError):
    """The database refused a value."""


SESSION_ERRORS = (ConnectionLostError, LockedError, MissingRightError, UndefinedError)
"""Errors that reading anything else would raise as well: what is read is not at fault."""


class SettingError(SseappError):
    """A setting is not valid."""


class NoDatabaseError(UnavailableError):
    """There is no database: set DATABASE_URL, or start the embedded PostgreSQL (`make demo` and `gunicorn wsgi` do)."""


class EmbeddedError(UnavailableError):
    """The embedded PostgreSQL cannot run here; the log says why."""

    def __init__(self, cause: str) -> None:
        """``cause`` names files and accounts, so only :func:`str` shows it."""
        super().__init__()
        self._cause = cause

    def __str__(self) -> str:
        return self._cause
