"""The rules of the cursor, each broken: what the code would be without the rule. The model has to see every one."""

from __future__ import annotations

from dataclasses import replace

from harness.model.connection import Queries
from harness.model.world import Faults

from sseapp.delivery.changes_stream import ChangesStream
from sseapp.delivery.progress import LogProgress
from sseapp.events.ring import Frame, encoded
from sseapp.live.listener import Listener
from sseapp.live.replay import Missed
from sseapp.log.cursor import Cursor, Scope, Snapshot
from sseapp.postgres import change_log
from sseapp.postgres.change_log import ChangeLog

BREAKS = {}
"""By name: the break, and the faults that it shows under."""


def _breaks(**faults):
    def register(function):
        BREAKS[function.__name__] = (function, Faults(**faults))
        return function

    return register


@_breaks(batch=(50,), size=(1 << 22,))
def the_cursor_is_the_greatest_id(monkeypatch):
    read = ChangeLog.read

    def above(log, cursor, *, sent, **how):
        batch = read(log, cursor, sent=sent, **how)
        return replace(batch, changes=tuple(change for change in batch.changes if change.id > sent))

    above.__kwdefaults__ = read.__kwdefaults__
    monkeypatch.setattr(ChangeLog, "read", above)


@_breaks()
def no_clause_on_what_was_in_flight(monkeypatch):
    monkeypatch.setattr(Queries, "has_xip", False)


@_breaks()
def the_rings_end_is_noted_after_the_read(monkeypatch):
    stand = ChangesStream._start_at

    def late(self, frame_number, upto, **has):
        del frame_number
        stand(self, self._channel.ring.end, upto, **has)

    monkeypatch.setattr(ChangesStream, "_start_at", late)


@_breaks(cut=60)
def a_joiner_gets_the_rings_ids(monkeypatch):
    def beyond(self, seen):
        events = tuple(event for event in self.events if not seen.sees(event.xid))
        return self.raw if seen.contains(self.upto) else self._encoded(events, None if self.ascending else self.after)

    monkeypatch.setattr(Frame, "beyond", beyond)


@_breaks(crash=20)
def snapshots_are_not_cut_to_the_log(monkeypatch):
    monkeypatch.setattr(Snapshot, "cut", lambda self, _: self)
    # an honest reset would hide it: most of what they end with was only rolled back, and is not in the log
    _believe(monkeypatch)


@_breaks(cut=60)
def what_was_missed_is_told_in_order_of_id_alone(monkeypatch):
    def encoded_at_once(self, scope: Scope):
        events = tuple(sorted((*self.rest, *self.new), key=lambda event: event.number))
        return encoded(events, scope.ids(self.upto, self.cursor.after or self.cursor.upto), (), complete=True)

    monkeypatch.setattr(Missed, "encoded", encoded_at_once)


@_breaks(cut=60)
def what_was_missed_has_one_kind_of_ids(monkeypatch):
    def encoded_at_once(self, scope: Scope):
        ids = scope.ids(self.upto, self.cursor.after or self.cursor.upto)
        return encoded((*self.rest, *self.new), ids, (), complete=True)

    monkeypatch.setattr(Missed, "encoded", encoded_at_once)


# beyond the six of the design


@_breaks(cut=60)
def ids_leave_out_what_was_sent_before(monkeypatch):
    monkeypatch.setattr(Frame, "ready", property(lambda self: self.raw + self._encoded(self.events, None)))


@_breaks(cut=60)
def a_joiner_hears_again_what_its_snapshot_shows(monkeypatch):
    monkeypatch.setattr(Frame, "beyond", lambda self, _: self.ready)


@_breaks(cut=60)
def a_heartbeat_tells_less_than_was_told(monkeypatch):
    take_id = LogProgress._take_id

    def hasty(self):
        self._last_event = Cursor(self._read_to)
        return take_id(self)

    monkeypatch.setattr(LogProgress, "_take_id", hasty)


@_breaks(cut=60)
def the_end_of_a_piece_counts_as_the_end_of_the_batch(monkeypatch):
    def encoded_as_whole(self, events, after):
        return encoded(events, self.scope.ids(self.upto, after), self.ends, complete=True) if self.scope else b""

    monkeypatch.setattr(Frame, "_encoded", encoded_as_whole)


@_breaks(cut=60)
def half_a_change_counts_as_all_of_it(monkeypatch):
    sees = Cursor.sees
    monkeypatch.setattr(Cursor, "sees", lambda self, xid, number: sees(self, xid, number - number % 2))


@_breaks(prune=30)
def the_horizon_of_pruning_is_not_looked_at(monkeypatch):
    monkeypatch.setattr(change_log, "_is_pruned", lambda *_: False)
    _believe(monkeypatch)


@_breaks(prune=30)
def the_listener_does_not_look_at_the_horizon(monkeypatch):
    monkeypatch.setattr(change_log, "_check", lambda *_: None)


@_breaks(fail_over=10, drop=60)
def the_listeners_cursor_moves_before_the_reset(monkeypatch):
    def join(self, log):
        now = log.end()
        is_new = self._cursor is None or now.epoch != self._epoch or log.expiry(self._cursor)
        if is_new:
            self._cursor, self._epoch, self._sent = Cursor(now.upto), now.epoch, now.greatest_id
        self._registry.refresh()
        if is_new:
            self._hub.begin(now.epoch, now.upto, "the listener began anew")

    monkeypatch.setattr(Listener, "_join", join)


@_breaks(forgetful_crash=20)
def the_last_transaction_is_not_looked_for(monkeypatch):
    _believe(monkeypatch)


def _believe(monkeypatch):
    expiry = change_log._expiry
    monkeypatch.setattr(change_log, "_expiry", lambda *args, **_: expiry(*args, there=True))
