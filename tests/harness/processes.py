"""Python programs of a test's own, to be killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Self

import psutil

ROOT = Path(__file__).parents[2]


class Program:
    """A Python program given as text; it runs in ``folder`` and can import sseapp."""

    def __init__(self, text: str, folder: Path, prefix: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", text],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """Return the next line it prints."""
        line = self.process.stdout.readline()
        assert line, f"the program ended with status {self.process.wait()}"
        return line.strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.process.stdin.close()
        self.process.stdout.close()


def is_gone(pid: int) -> bool:
    """Whether no such process runs; a zombie that nobody waits for has ended, too."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
