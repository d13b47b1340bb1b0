"""The event stream of a table's changes: how a client catches up, with a snapshot or from the log, and goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sseapp.delivery.progress import LogProgress
from sseapp.delivery.services import Services
from sseapp.delivery.subscription import Subscription
from sseapp.errors import ResetError, SseappError
from sseapp.events import sse
from sseapp.live.replay import Held, opened
from sseapp.live.spool import Spool
from sseapp.live.stream import Stream, window
from sseapp.log.cursor import Cursor, Snapshot, encode
from sseapp.postgres import change_log
from sseapp.query.query import Query
from sseapp.tables.row_json import json_string
from sseapp.tables.table import Table


class ChangesStream(Subscription[Stream]):
    """The event stream of ``/tables/<table>/changes``. ``last_event_id`` is what the client says it saw last.

    It begins with what the client missed, or a snapshot; or, with ``snapshot=no``, with where the log ends. That is
    read before the answer begins: what commits behind its first byte is told.
    """

    __slots__ = ("_cursor", "_informed")

    def __init__(
        self,
        services: Services,
        path: str,
        args: Iterable[tuple[str, str]],
        last_event_id: str | None = None,
        *,
        occupies_host: bool = False,
    ) -> None:
        super().__init__(services, path, args, occupies_host=occupies_host)
        self._cursor = last_event_id or self._query.after
        self._informed = self._cursor is not None  # whether the client holds rows that a reset has to take back
        if self._cursor is None and not self._query.snapshot:
            try:
                self._begun = self._from_now(self._channel)
            except BaseException:
                self.close()
                raise

    def _join(self, table: Table, query: Query) -> Stream:
        return self._services.hub.join(table, query)

    def _leave(self, channel: Stream) -> None:
        self._services.hub.leave(channel)

    def _discard(self, reason: str) -> bytes:
        return _reset(reason) if self._informed else b""

    def _enter(self, reason: str | None) -> Iterator[bytes]:
        stream, cursor = self._channel, self._cursor
        self._cursor = None
        if reason is not None:
            if self._informed or self._query.snapshot:
                yield from self._snapshot(stream, reason if self._informed else None)
            else:
                yield self._from_now(stream)
        elif cursor is not None:
            yield from self._replay(stream, opened(cursor, stream.scope))
        elif isinstance(self.progress, LogProgress):
            if not self._begun:
                # overrun: what the ring no longer has is in the log
                yield from self._replay(stream, self.progress.cursor)
        else:
            yield from self._snapshot(stream, None)
        self._begun = b""
        self._informed = True

    def _replay(self, stream: Stream, cursor: Cursor) -> Iterator[bytes]:
        """What was missed after ``cursor``, piece by piece, as the client takes it."""
        bound, more, held = None, True, Held()
        while more and not self._services.closing.is_set():
            piece = self._services.replays.next(stream, cursor, held)
            cursor, more, held = piece.end, piece.more, piece.held
            moved = b"" if piece.bound == bound or piece.bound is None else window(piece.bound)
            bound = piece.bound
            yield moved + piece.data
            if not more:
                self._start_at(piece.frame_number, piece.upto, has_id=piece.has_id)

    def _snapshot(self, stream: Stream, reason: str | None) -> Iterator[bytes]:
        begin = b"" if reason is None else _reset(reason)
        snapshots, query = self._services.snapshots, self._query  # the stream is shared with other orders and limits
        spool = snapshots.join(stream, query)
        try:
            yield from self._spooled(spool, begin)
        finally:
            snapshots.leave(stream, query, spool)
        self._start_at(spool.frame_number, spool.upto)
        self.progress.told_live = None
        if spool.bound is not None:
            yield window(spool.bound)

    def _spooled(self, spool: Spool, begin: bytes) -> Iterator[bytes]:
        """The bytes of ``spool``, as they come; between events a heartbeat where none come, and the end of all."""
        offset, is_last, between = 0, False, True
        while not (is_last or (between and self._services.closing.is_set())):
            try:
                chunk, is_last = spool.read(offset, self._services.settings.heartbeat)
            except SseappError as error:
                if not isinstance(error, ResetError):
                    self._unsent = begin
                raise
            offset += len(chunk)
            if chunk:
                yield begin + chunk
                begin, between = b"", chunk.endswith(b"\n\n")
            elif between:
                yield sse.heartbeat(self._services.state.told()[1])

    def _from_now(self, stream: Stream) -> bytes:
        def read() -> tuple[int, str | None, Snapshot]:
            frame_number, _, bound = stream.note()
            return frame_number, bound, self._services.database.run(change_log.log_end).upto

        frame_number, bound, upto = stream.reads.do("now", read)
        self._start_at(frame_number, upto)
        self.progress.told_live, state = self._services.state.told()
        begin = sse.heartbeat(state, encode(Cursor(upto), stream.scope))
        return begin + (b"" if bound is None else window(bound))

    def _start_at(self, frame_number: int, upto: Snapshot, *, has_id: bool = True) -> None:
        told_live = self.progress.told_live
        self.progress = LogProgress(self._channel, frame_number, self._services.hub, upto, has_id=has_id)
        self.progress.told_live = told_live


def _reset(reason: str) -> bytes:
    """The event that tells a client to discard its rows."""
    return sse.event("reset", f'{{"reason":{json_string(reason)}}}')
