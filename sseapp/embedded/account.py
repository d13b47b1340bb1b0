"""The account that PostgreSQL runs under: it refuses to be root."""

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

# What a folder that others may not enter (/root, mktemp -d) takes, the least first. Reading is enough for data the
# account owns; a umask of 077 at installation has left programs that only an override executes. Many containers
# have the second only.
CAPABILITIES = ("", "dac_read_search", "dac_override")


@dataclass(frozen=True, slots=True)
class Account:
    """An account and how to start a program as it; ``prefix`` is empty for the account we are already."""

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
    """Return the account to run PostgreSQL under: ourselves, unless we are root.

    As root it is the owner of ``owned`` (a user's checkout under sudo stays that user's), else ``nobody``. It is given
    what it takes to reach ``owned`` and to read and execute all that is ``needed``. Raises EmbeddedError where
    nothing does.
    """
    if os.geteuid() != 0:
        return Account(f"uid {os.geteuid()}", os.geteuid(), os.getegid())
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise EmbeddedError(
            "PostgreSQL refuses to run as root, and setpriv (util-linux) is not here to run it as another account. "
            "Install it, start as an ordinary user, or set DATABASE_URL."
        )
    entry = _owner(owned)
    for capability in CAPABILITIES:
        account = Account(entry.pw_name, entry.pw_uid, entry.pw_gid, _prefix(setpriv, entry, capability))
        if all(_may(account, path) for path in (owned, *needed)):
            return account
    raise EmbeddedError(
        f"PostgreSQL refuses to run as root, and the account {entry.pw_name} cannot reach {owned}. "
        "Move the project to a folder that others may enter, start as an ordinary user, or set DATABASE_URL."
    )


def _owner(path: Path) -> pwd.struct_passwd:
    # PostgreSQL wants an account with a name; a folder from outside a container often has a number only.
    with suppress(KeyError):
        entry = pwd.getpwuid(path.stat().st_uid)
        if entry.pw_uid != 0:
            return entry
    return pwd.getpwnam("nobody")


def _prefix(setpriv: str, entry: pwd.struct_passwd, capability: str) -> tuple[str, ...]:
    # Changing the account clears the parent-death signal that the supervisor has set: set it anew.
    head = (setpriv, f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", "--pdeathsig=QUIT")
    if not capability:
        return (*head, "--")
    # Without that bit access(), by which initdb finds its programs, answers as if there were no capability.
    return (*head, "--securebits=+no_setuid_fixup", f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}", "--")


def _may(account: Account, path: Path) -> bool:
    # Asked of the kernel, not computed from modes: ACLs and mounts have their say as well.
    command = account.command(["test", "-r", path, "-a", "-x", path])
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603  # no shell
