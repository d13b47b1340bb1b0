"""The account that PostgreSQL runs under: it refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sseapp.errors import EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

# Capabilities to reach a folder that others may not enter (/root, mktemp -d), the least first. Reading is enough for
# data that the account owns. Programs installed under a umask of 077 need the override, and many containers have only
# that one.
CAPABILITIES = ("", "dac_read_search", "dac_override")


@dataclass(frozen=True, slots=True)
class Account:
    """An account, and the command prefix that runs a program under it; empty for our own account."""

    name: str
    uid: int
    gid: int
    prefix: tuple[str, ...] = ()

    def command(self, argv: Sequence[str | Path]) -> list[str]:
        """Return ``argv`` as a command that runs under the account."""
        return [*self.prefix, *map(str, argv)]

    def own(self, path: Path) -> None:
        """Hand ``path`` over to the account."""
        if self.prefix:
            os.chown(path, self.uid, self.gid)


def unprivileged(owned: Path, needed: Iterable[Path]) -> Account:
    """Return the account to run PostgreSQL under: our own, unless we are root.

    As root it is the owner of ``owned`` (a user's checkout under sudo stays that user's), else ``nobody``, with the
    capabilities needed to reach ``owned`` and to read and execute ``needed``. Raises EmbeddedError if none suffice.
    """
    if os.geteuid() != 0:
        return Account(f"uid {os.geteuid()}", os.geteuid(), os.getegid())
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise EmbeddedError(
            "PostgreSQL refuses to run as root. To run it as another user, sseapp needs setpriv (util-linux). "
            "Install that, start as an ordinary user, or set DATABASE_URL."
        )
    entry = _owner(owned)
    for capability in CAPABILITIES:
        account = Account(entry.pw_name, entry.pw_uid, entry.pw_gid, _prefix(setpriv, entry, capability))
        if all(_may(account, path) for path in (owned, *needed)):
            return account
    raise EmbeddedError(
        f"PostgreSQL refuses to run as root, and the user {entry.pw_name} cannot reach {owned}. "
        "Move the project to a folder that other users may enter, start as an ordinary user, or set DATABASE_URL."
    )


def _owner(path: Path) -> pwd.struct_passwd:
    # PostgreSQL needs an account with a name; a folder mounted into a container often has only a number.
    with suppress(KeyError):
        entry = pwd.getpwuid(path.stat().st_uid)
        if entry.pw_uid != 0:
            return entry
    return pwd.getpwnam("nobody")


def _prefix(setpriv: str, entry: pwd.struct_passwd, capability: str) -> tuple[str, ...]:
    # Changing the account clears the parent-death signal that the supervisor has set: set it again.
    head = (setpriv, f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", "--pdeathsig=QUIT")
    if not capability:
        return (*head, "--")
    # Without this bit access(), which initdb uses to find its programs, ignores the capability.
    return (*head, "--securebits=+no_setuid_fixup", f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}", "--")


def _may(account: Account, path: Path) -> bool:
    # Ask the kernel instead of computing it from modes: ACLs and mounts count, too.
    command = account.command(["test", "-r", path, "-a", "-x", path])
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603  # no shell
