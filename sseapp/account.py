"""The account that PostgreSQL runs under: it refuses to be root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
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


def unprivileged(folder: Path, programs: Iterable[Path]) -> Account:
    """Return the account to run ``programs`` on data in ``folder``: ourselves, unless we are root.

    As root it is the owner of the folder (a user's checkout under sudo stays that user's), else ``nobody``.
    Raises EmbeddedError where no way is found for it to reach folder and programs.
    """
    if os.geteuid() != 0:
        return Account(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid())
    entry = pwd.getpwuid(folder.stat().st_uid or pwd.getpwnam("nobody").pw_uid)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise EmbeddedError(
            "PostgreSQL refuses to run as root, and setpriv (util-linux) is not here to run it as another account. "
            "Install it, start as an ordinary user, or set DATABASE_URL."
        )
    for capability in CAPABILITIES:
        account = Account(entry.pw_name, entry.pw_uid, entry.pw_gid, _prefix(setpriv, entry, capability))
        if all(_may(account, path) for path in (folder, *programs)):
            return account
    raise EmbeddedError(
        f"PostgreSQL refuses to run as root, and the account {entry.pw_name} cannot reach {folder}. "
        "Move the project to a folder that others may enter, start as an ordinary user, or set DATABASE_URL."
    )


def _prefix(setpriv: str, entry: pwd.struct_passwd, capability: str) -> tuple[str, ...]:
    # Changing the account clears the parent-death signal that the guard has set: set it anew.
    head = (setpriv, f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", "--pdeathsig=QUIT")
    grants = (f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}") if capability else ()
    return (*head, *grants, "--")


def _may(account: Account, path: Path) -> bool:
    # Asked of the kernel, not computed from modes: ACLs and mounts have their say as well.
    command = account.command(["test", "-x", path])
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603
