"""Subscribers: by event stream and by long poll. They are cut at any byte, and come back with the last id they have."""

from __future__ import annotations

import json

from harness.model.oracle import State, Tail, ViolationError
from harness.model.tasks import Task, pause
from harness.sse import Parser

from sseapp.delivery import long_poll
from sseapp.delivery.changes_stream import ChangesStream
from sseapp.delivery.rows_stream import RowsStream
from sseapp.errors import CursorGoneError, UnavailableError


class Client:
    """One subscriber with its query; while it is connected, a task of a worker.

    ``silent`` counts how often it heard that there is nothing more.
    """

    def __init__(self, asked, choose):
        self.asked = asked
        self.choose = choose
        self.state = State(asked)
        self.cursor = None
        self.task = None
        self.resets = 0
        self.events = 0
        self.silent = 0
        self.cut_after = None

    @property
    def is_away(self):
        return self.task is None or self.task.is_over

    def connect(self, worker, cut_after=None):
        """Come to ``worker``; ``cut_after`` so many bytes or answers the connection breaks."""
        self.silent, self.cut_after = 0, cut_after
        self.task = Task(f"client of {self.asked}", lambda: self._run(worker))
        worker.tasks.append(self.task)

    def check(self, postgres):
        """That it was told all, once."""
        self.state.check(postgres)

    def _run(self, worker):
        raise NotImplementedError


class Streaming(Client):
    """Reads an event stream as the HTML standard says."""

    def _run(self, worker):
        try:
            subscription = self._subscription(worker)
        except UnavailableError:
            return
        parser, self._is_reset, self._rows, self._parts = Parser(), False, [], 0
        try:
            for data in subscription.body():
                for block in parser.feed(self._received(data)):
                    self._take(block)
                self.cursor = parser.last_id or self.cursor
                if self.cut_after == 0:
                    return
                pause()
        finally:
            subscription.close()

    def _subscription(self, worker):
        return ChangesStream(worker, self.asked.table, self.asked.arguments, self.cursor)

    def _received(self, data):
        if self.cut_after is None:
            return data
        data = data[: self.cut_after]
        self.cut_after -= len(data)
        return data

    def _take(self, block):
        if block.is_heartbeat:
            # all that there is has come, but for a snapshot that is being read
            self.silent += self.state.is_told and not self._is_reset
        if block.name in {None, "state", "bye"}:
            return
        self.silent = 0
        if block.name == "reset":
            if not self.state.is_told:
                raise ViolationError("a reset before the first snapshot")
            self.resets += 1
            self._is_reset = True
        elif block.name == "snapshot":
            self._take_part(block.json)
        elif self._is_reset or not self.state.is_told:
            raise ViolationError(f"{block.name} where a snapshot was due")
        else:
            self.events += 1
            self.state.apply(block.name, block.json)

    def _take_part(self, part):
        """Part 1 begins anew; with the last one it holds all rows of one moment."""
        if self.state.is_told and not self._is_reset:
            raise ViolationError("a snapshot without a reset")
        self._rows = (self._rows if part["part"] > 1 else []) + part["rows"]
        if part["part"] != self._parts + 1 and part["part"] != 1:
            raise ViolationError("a part of the snapshot is missing")
        self._parts = part["part"]
        if not part["more"]:
            self.state, self._is_reset = State(self.asked), False
            self.state.start(self._rows)


class Listening(Streaming):
    """Wants changes from now on, without a snapshot."""

    def _subscription(self, worker):
        history = worker.database.postgres.history
        if self.cursor is None:
            self.state = Tail(self.asked, len(history))
        self._history = history
        return ChangesStream(worker, self.asked.table, (*self.asked.arguments, ("snapshot", "no")), self.cursor)

    def _received(self, data):
        if isinstance(self.state, Tail) and self.state.until is None:
            self.state.until = len(self._history)  # heard from the first byte on
        return super()._received(data)


class Watching(Streaming):
    """Wants the whole result, again whenever a row in it changed."""

    def _subscription(self, worker):
        self._postgres = worker.database.postgres
        return RowsStream(worker, self.asked.table, self.asked.arguments)

    def _take(self, block):
        if block.name == "rows":
            self.events += 1
            self.state.start(block.json["rows"])

    @property
    def silent(self):
        """For good, where it shows what the table holds."""
        is_shown = not self.is_away and self.state.rows == self.asked.rows(self._postgres.tables)
        return 99 * is_shown

    @silent.setter
    def silent(self, _):
        pass

    def check(self, postgres):
        if self.state.rows != self.asked.rows(postgres.tables):
            raise ViolationError("it shows what the table does not hold")


class Polling(Client):
    """Asks for a few changes at a time. An answer may be lost on its way: then it asks for the same ones again."""

    def _run(self, worker):
        while self.cut_after is None or self.cut_after > 0:
            try:
                self._ask(worker)
            except CursorGoneError:
                self.cursor = None
                self.resets += 1
            except UnavailableError:
                return
            pause()

    def _ask(self, worker):
        if self.cursor is None:
            answer = json.loads(b"".join(long_poll.rows(worker, self.asked.table, self.asked.arguments)))
            if not self._is_lost():
                self.state.start(answer["rows"])
                self.cursor = answer["cursor"]
            return
        arguments = [*self.asked.arguments, ("after", self.cursor), ("limit", "2"), ("wait", "5")]
        answer = json.loads(long_poll.changes(worker, self.asked.table, arguments))
        if self._is_lost():
            return
        # where the cursor moves on, a page held only changes that its filter leaves out
        is_silent = not answer["changes"] and answer["cursor"] == self.cursor
        self.silent = self.silent + 1 if is_silent else 0
        self.cursor = answer["cursor"]
        for change in answer["changes"]:
            self.events += 1
            self.state.apply(change["event"], change)

    def _is_lost(self):
        if self.cut_after is not None:
            self.cut_after -= 1
        return self.cut_after is not None and self.choose.random() < 0.3
