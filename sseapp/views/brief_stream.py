"""An event stream that ends once the client is up to date, for servers that have no thread to spare for a longer one.

It is a long poll in the form of a stream: the client comes back after the ``retry:``, and resumes by its cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic

from sseapp.delivery.changes_stream import ChangesStream
from sseapp.delivery.rows_stream import RowsStream

_PATIENCE = 10.0  # seconds that the first result of a query may take


class _UpToDateError(Exception):
    """Nothing more is to be sent."""


def brief(subscription: ChangesStream | RowsStream, is_closing: Callable[[], bool]) -> Iterator[bytes]:
    """The bytes of ``subscription`` up to now, and its end."""

    def follow() -> Iterator[bytes]:
        if isinstance(subscription, RowsStream):
            yield _result(subscription, is_closing)
            yield subscription.state()
        raise _UpToDateError

    try:
        yield from subscription.body(follow=follow)
    except _UpToDateError:
        yield subscription.ending()


def _result(subscription: RowsStream, is_closing: Callable[[], bool]) -> bytes:
    end, data = monotonic() + _PATIENCE, b""
    while not data and not is_closing() and (left := end - monotonic()) > 0:
        data = subscription.progress.take()
        if not data:
            subscription.channel.wait(subscription.progress.frame_number, left, is_closing)
    return data
