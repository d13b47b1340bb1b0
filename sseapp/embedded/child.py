"""A child process that ends when this process ends, even if that is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

SUPERVISOR = Path(__file__).with_name("supervisor.py")


class Child:
    """The process of ``command``, run by a supervisor at the other end of a pipe.

    ``plan`` says how to stop it (see :mod:`sseapp.embedded.supervisor`). Its output goes to ``log``.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        plan: str,
        log: Path,
        environ: Mapping[str, str] | None = None,
        folder: Path = Path("/"),
    ) -> None:
        argv = [sys.executable, "-I", str(SUPERVISOR), plan, *map(str, command)]
        with _private(log) as out:
            # A session of its own: Ctrl-C in the terminal reaches only us, and we stop our children in order.
            self._supervisor = subprocess.Popen(  # noqa: S603  # the supervisor, without a shell
                argv,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,
                cwd=folder,
                env=environ,
            )
        self._patience = sum(float(step.split(":")[1]) for step in plan.split(",")) + 1.0
        _children.add(self)

    @property
    def running(self) -> bool:
        """Whether the supervisor runs; it does so between a crash of the child and its restart, too."""
        return self._supervisor.poll() is None

    @property
    def pid(self) -> int:
        """The supervisor's process id, which is also its session's and process group's."""
        return self._supervisor.pid

    def keep(self) -> None:
        """From now on, restart the child whenever it ends."""
        if self._supervisor.stdin is not None:
            with suppress(BrokenPipeError):  # `running` tells
                self._supervisor.stdin.write(b"k")

    def stop(self) -> None:
        """Stop the child and wait for its end; does nothing in a forked process, which has closed its end already."""
        self.let_go()
        try:
            self._supervisor.wait(self._patience)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()

    def let_go(self) -> None:
        """Close our end of the pipe. If no other process has it open, the supervisor stops the child."""
        if self._supervisor.stdin is not None:
            self._supervisor.stdin.close()


def _private(log: Path) -> BinaryIO:
    # PostgreSQL logs failed statements with their values.
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


_children: weakref.WeakSet[Child] = weakref.WeakSet()


def _let_go_in_child() -> None:
    # A forked worker must not keep the pipe open: the supervisor would outlive us.
    for child in _children:
        child.let_go()


os.register_at_fork(after_in_child=_let_go_in_child)
