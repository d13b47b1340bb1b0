"""A small disk of its own for a part of a cluster, which a test fills and empties again."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.clusters import Server, scratch

_MIB, _PAGE = 1 << 20, 1 << 12


class Disk:
    """A file system of ``size`` MiB, at ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Take all the room there is, also what others give back or take meanwhile."""
        with self._ballast.open("wb") as file:
            end = 0
            for piece in (_MIB, _PAGE):
                while _reserved(file.fileno(), end, piece):
                    end += piece

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)


def _reserved(descriptor: int, offset: int, size: int) -> bool:
    try:
        os.posix_fallocate(descriptor, offset, size)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


@contextmanager
def disk(size: int = 256) -> Iterator[Disk]:
    """Mount a disk of ``size`` MiB in memory; skips the test where that is not allowed."""
    folder = scratch()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}m,mode=755", "sseapp-test", folder],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


def put_wal(server: Server, disk: Disk) -> None:
    """Move the WAL of a cluster, which is stopped meanwhile, to ``disk``."""
    server.stop()
    wal = server.data / "pg_wal"
    subprocess.run(["cp", "-a", wal, disk.folder / "pg_wal"], check=True)
    shutil.rmtree(wal)
    wal.symlink_to(disk.folder / "pg_wal")
    server.again()


def put_log(server: Server, disk: Disk, database: str = "postgres") -> None:
    """Move the change log to a tablespace on ``disk``, its indexes too."""
    place = disk.folder / "log"
    place.mkdir(mode=0o700)
    server.account.own(place)
    server.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
    indexes = server.execute(
        "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'sseapp.change'::regclass", database
    )
    for kind, name in [("TABLE", "sseapp.change"), *(("INDEX", name) for (name,) in indexes)]:
        server.execute(f"ALTER {kind} {name} SET TABLESPACE small", database)
