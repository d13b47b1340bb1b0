"""Subscribers: by event stream and by long poll. They are cut at any byte, and come back with the last id they have."""

from __future__ import annotations

import json

from support.model.oracle import State, ViolationError
from support.model.tasks import Task, pause
from support.sse import Parser

from sseapp import poll
from sseapp.errors import CursorGoneError, UnavailableError
from sseapp.subscription import Changes


class Client:
    """One subscriber with its question; while it is connected, a task of a worker."""

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

    def _run(self, worker):
        raise NotImplementedError


class Streaming(Client):
    """Reads the event stream as the HTML standard says."""

    def _run(self, worker):
        try:
            changes = Changes(worker, self.asked.table, self.asked.arguments, self.cursor)
        except UnavailableError:
            return
        parser, reset = Parser(), False
        try:
            for data in changes.frames():
                for block in parser.feed(self._received(data)):
                    reset = self._take(block, reset=reset)
                self.cursor = parser.last_id or self.cursor
                if self.cut_after == 0:
                    return
                pause()
        finally:
            changes.close()

    def _received(self, data):
        if self.cut_after is None:
            return data
        data = data[: self.cut_after]
        self.cut_after -= len(data)
        return data

    def _take(self, block, *, reset):
        """One block; whether it was a reset."""
        if block.data is None:
            self.silent += ":" in "".join(block.raw.decode())  # a heartbeat: all that there is has come
            return reset
        self.silent = 0
        if block.name == "reset":
            self._reset()
            return True
        if block.name == "snapshot":
            if self.state.moment is not None and not reset:
                raise ViolationError("a snapshot without a reset")
            self.state.start(block.json["rows"])
        elif reset or self.state.moment is None:
            raise ViolationError(f"{block.name} where a snapshot was due")
        else:
            self.events += 1
            self.state.apply(block.name, block.json)
        return False

    def _reset(self):
        if self.state.moment is None:
            raise ViolationError("a reset before the first snapshot")
        self.resets += 1


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
            answer = json.loads(poll.rows(worker, self.asked.table, self.asked.arguments))
            if not self._is_lost():
                self.state.start(answer["rows"])
                self.cursor = answer["cursor"]
            return
        arguments = [*self.asked.arguments, ("after", self.cursor), ("limit", "2"), ("wait", "5")]
        answer = json.loads(poll.changes(worker, self.asked.table, arguments))
        if self._is_lost():
            return
        self.silent = 0 if answer["changes"] else self.silent + 1
        self.cursor = answer["cursor"]
        for change in answer["changes"]:
            self.events += 1
            self.state.apply(change["event"], change)

    def _is_lost(self):
        if self.cut_after is not None:
            self.cut_after -= 1
        return self.cut_after is not None and self.choose.random() < 0.3
