"""Follows an event stream of sseapp, and comes back to where it was whenever the connection is lost."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Generator, Iterator, Mapping
from http.client import HTTPException, HTTPResponse
from typing import Self

from sseapp.backoff import jittered
from sseapp.client.change import Change
from sseapp.client.connection import Address, LostError
from sseapp.client.event_stream import Event, EventStreamParser
from sseapp.errors import FollowError

_log = logging.getLogger(__name__)
_LONGEST_PAUSE = 30.0  # seconds between two tries, unless the server asks for more
_DOUBLINGS = 16
_BYTES = 1 << 16


def follow(
    url: str,
    *,
    token: str | None = None,
    cursor: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 40.0,
    retry: float = 2.0,
    tls: ssl.SSLContext | None = None,
) -> Follower:
    """Follow the event stream at ``url``, such as ``http://localhost:8000/tables/orders/changes?last=1h``.

    Iterate over the result: it yields a :class:`~sseapp.client.change.Change` for each event, without end. A lost
    connection is opened again where it was, so that each change comes once.

    ``token`` is sent as a bearer token, a user and password in ``url`` by basic authentication. ``cursor`` is that of
    the last change that was dealt with, perhaps by another process. ``timeout`` is after how many seconds of silence
    a connection counts as lost; the server sends a heartbeat every 15 s. ``retry`` is how many seconds to wait before
    coming back, until the server names a time; with each failure that doubles, up to 30 s.

    Raises :exc:`~sseapp.errors.BadParameterError` for what is no address. The iteration raises
    :exc:`~sseapp.errors.FollowError` for what another try would not mend: no such table, no right, a bad parameter.
    """
    return Follower(Address(url, token=token, headers=headers or {}, timeout=timeout, tls=tls), cursor or "", retry)


class Follower(Iterator[Change]):
    """The changes of the stream at ``address``: see :func:`follow`. For one thread at a time.

    ``cursor`` is where it goes on after a loss. Heartbeats move it as well, so it may be beyond the last change's.
    """

    def __init__(self, address: Address, cursor: str, retry: float) -> None:
        self._address = address
        self._retry = retry
        self._failures = 0
        self.cursor = cursor
        self._changes = self._followed()

    def __next__(self) -> Change:
        return next(self._changes)

    def close(self) -> None:
        """End, and close the connection."""
        self._changes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _followed(self) -> Generator[Change, None, None]:
        while True:
            wish = 0.0
            try:
                with self._address.open(self.cursor) as answer:
                    yield from self._received(answer)
                why = "the server has closed it"
            except LostError as error:
                why, wish = str(error), error.wish
            except (OSError, HTTPException) as error:
                why = str(error) or type(error).__name__
            delay = max(wish, self._delay())
            _log.info("The stream is lost and is asked for again in %.1f s: %s", delay, why)
            time.sleep(delay)

    def _received(self, answer: HTTPResponse) -> Iterator[Change]:
        parser = EventStreamParser(self.cursor)
        while data := answer.read1(_BYTES):
            for event in parser.feed(data):
                self._failures = 0
                # moved before the change is yielded: a loss after that must not repeat it
                self.cursor = event.id
                if event.name != "bye":
                    yield _read(event)
            if parser.last_id != self.cursor:
                self._failures = 0
                self.cursor = parser.last_id
            if parser.retry is not None:
                self._retry = parser.retry

    def _delay(self) -> float:
        """The server's time, doubled with each try in a row that brought nothing; with jitter beyond it."""
        delay: float = min(self._retry * 2**self._failures, max(self._retry, _LONGEST_PAUSE))
        self._failures = min(self._failures + 1, _DOUBLINGS)
        return delay + jittered(delay) / 2


def _read(event: Event) -> Change:
    try:
        return Change.of(event)
    except ValueError as error:
        raise FollowError(f"This is no event of sseapp: {event.name}: {error}") from error
