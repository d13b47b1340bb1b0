"""What the server says of itself on its streams: whether it follows the database, and how late its changes are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic

from sseapp.live.listener import Listener
from sseapp.periodic import Periodic
from sseapp.tables.row_json import json_string

_SILENT = "The database does not answer."
_LOOK = 0.3  # seconds between two looks: a state is to be told 3 s after it changed
_LONGEST_SILENCE = 2.5  # seconds since the last answer; the listener asks each second


class ServerState(Periodic):
    """The state that ``listener`` is in. Where it becomes another one, ``wake`` wakes all streams to tell it."""

    def __init__(self, listener: Listener, wake: Callable[[], None]) -> None:
        super().__init__("watch on the state", _LOOK)
        self._listener = listener
        self._wake = wake
        self._told: set[bool] = set()  # since the streams were last woken

    @property
    def live(self) -> bool:
        """Whether changes are told as they are committed."""
        return self._listener.error is None and monotonic() - self._listener.seen_at < _LONGEST_SILENCE

    def told(self) -> tuple[bool, str]:
        """Whether it is live, and the data of a ``state`` event: the lag in seconds, or since when and why not."""
        live = self.live
        self._told.add(live)
        if live:
            return True, f'{{"live":true,"lag":{self._listener.lag.seconds:.3f}}}'
        since = datetime.now(UTC) - timedelta(seconds=monotonic() - self._listener.seen_at)
        reason = json_string(self._listener.error or _SILENT)
        return False, f'{{"live":false,"since":"{since.isoformat(timespec="milliseconds")}","reason":{reason}}}'

    def work(self) -> None:
        """Have the streams tell the state, where some were told another."""
        live = self.live
        if (not live) in self._told:
            self._told = {live}
            self._wake()
