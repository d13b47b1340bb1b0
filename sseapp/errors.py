"""The one hierarchy of errors, and what each is over HTTP.

A class's docstring is its default message. ``status`` and ``title`` are those of ``problem+json`` (RFC 9457).
"""

from __future__ import annotations


class SseappError(Exception):
    """Something went wrong in sseapp."""

    status = 500
    title = "Internal error"

    def __init__(self, detail: str | None = None, *, parameter: str | None = None) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip()
        self.parameter = parameter
        super().__init__(self.detail)


class BadParameterError(SseappError):
    """A parameter of the request cannot be used."""

    status = 400
    title = "Bad parameter"


class ForbiddenError(SseappError):
    """This request is not allowed."""

    status = 403
    title = "Forbidden"


class NotFoundError(SseappError):
    """There is no such thing here."""

    status = 404
    title = "Not found"


class NotAcceptableError(SseappError):
    """Neither application/json nor text/event-stream is acceptable to the client."""

    status = 406
    title = "Not acceptable"


class CursorGoneError(SseappError):
    """The cursor no longer serves; start again without it."""

    status = 410
    title = "Cursor gone"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The cursor no longer serves: {reason}. Start again without it.", parameter="after")
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


class ShapeChangedError(SseappError):
    """A row does not fit what is known of its table: the table's shape has changed."""

    reason = "the table or its watch has changed"
    """What subscribers are told, who start again with a snapshot."""


class UnavailableError(SseappError):
    """The service cannot answer now; try again."""

    status = 503
    title = "Unavailable"


class UnsettledError(UnavailableError):
    """The table keeps changing; try again."""


class OverloadedError(UnavailableError):
    """All places are taken; try again."""


class DatabaseError(UnavailableError):
    """The database refused a statement."""

    sqlstate: str | None = None


class ConnectionLostError(DatabaseError):
    """The database cannot be reached."""


class DeadlineError(ConnectionLostError):
    """The database did not answer in time."""


class LockedError(DatabaseError):
    """The table is locked by another transaction; try again."""


class MissingRightError(DatabaseError):
    """The database role lacks a right."""


class UndefinedError(DatabaseError):
    """A table, column or function is not there (any more)."""


class NotInstalledError(UnavailableError):
    """sseapp is not installed in this database: `python -m sseapp watch TABLE` installs it."""


class OtherVersionError(UnavailableError):
    """The sseapp in this database is of another version: `python -m sseapp install` updates it, or says why not."""


class DataRejectedError(DatabaseError):
    """The database refused a value."""


class SettingError(SseappError):
    """A setting cannot be used."""


class EmbeddedError(UnavailableError):
    """The embedded PostgreSQL cannot run here."""
