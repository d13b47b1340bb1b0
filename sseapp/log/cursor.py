"""What a subscriber has seen of the log, and how that travels in an event's ``id``.

A point in the log is a set of transactions, not a number: sequence numbers are handed out before commit, so "above the
last id" loses the rows of a slow transaction. PostgreSQL's own snapshots name such sets
(https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT), and of two snapshots of one
primary one always contains the other.

A :class:`Cursor` is ``{A, B, k}``: everything that snapshot A sees, and of what snapshot B sees the events up to number
k. At the end of a batch it is just ``{B}``. Where every event of the batch has a greater number than all events sent
before, A adds nothing and is left out: ``{B, k}``.

Each change has two event numbers, because a changed key is told in two events, a delete and an insert: a cut between
the two must repeat neither. :func:`event_number` counts them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from zlib import crc32

from sseapp.errors import MalformedCursorError

MAX_LENGTH = 2048
"""The longest cursor in characters: it travels in a request header."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-"
_VALUE = {digit: value for value, digit in enumerate(_DIGITS)}
_VERSION = "a"
_EPOCH_LENGTH, _QUERY_LENGTH, _CHECK_LENGTH = 6, 4, 2
_LOWER_HALF, _FIRST_NORMAL = 0xFFFFFFFF, 3
_NUMBER = r"[\w-]{1,11}"
_SNAPSHOT = rf"{_NUMBER}(?:\.{_NUMBER})*"
_FORM = re.compile(
    rf"{_VERSION}(?P<epoch>[\w-]{{{_EPOCH_LENGTH}}})(?P<query>[\w-]{{{_QUERY_LENGTH}}})"
    rf"(?P<upto>{_SNAPSHOT})(?:~(?P<number>{_NUMBER})(?:~(?P<after>{_SNAPSHOT}))?)?!(?P<check>[\w-]{{{_CHECK_LENGTH}}})",
    re.ASCII,
)


def event_number(change_id: int, *, first: bool = False) -> int:
    """The number of the last event of a change; or of the ``first``, where the change is told in two."""
    return 2 * change_id + (not first)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A set of transactions: those below ``xmax`` without those in ``xip`` (ascending, each below ``xmax``)."""

    xmax: int
    xip: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """Read ``pg_snapshot``'s text, ``xmin:xmax:xip,...``."""
        _, xmax, xip = text.split(":")
        return cls(int(xmax), tuple(int(xid) for xid in xip.split(",")) if xip else ())

    def __str__(self) -> str:
        # no transaction has 0 in the lower half of its id, and pg_snapshot refuses one
        xmax = self.xmax if self.xmax & _LOWER_HALF else self.xmax + _FIRST_NORMAL
        xmin = self.xip[0] if self.xip else xmax
        return f"{xmin}:{xmax}:{','.join(map(str, self.xip))}"

    def sees(self, xid: int) -> bool:
        """Whether the transaction had committed."""
        return xid < self.xmax and xid not in self.xip

    def contains(self, other: Snapshot) -> bool:
        """Whether every transaction that ``other`` sees is seen here too."""
        beyond = other.xmax - self.xmax
        if beyond > 0 and sum(xid >= self.xmax for xid in other.xip) < beyond:
            return False
        return not any(other.sees(xid) for xid in self.xip)

    def cut(self, greatest: int) -> Snapshot:
        """Keep what the log proves; ``greatest`` is the greatest xid of a log row that this snapshot sees (0: none).

        It stays the same set for the log. Transactions above that were only rolled back: after a crash their ids are
        handed out again, and an uncut snapshot would take the new transactions for seen.
        """
        return Snapshot(greatest + 1, tuple(xid for xid in self.xip if xid < greatest))

    @property
    def greatest(self) -> int:
        """The greatest xid that a cut snapshot sees."""
        return self.xmax - 1


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a subscriber has seen: see the head of this module for the three forms."""

    upto: Snapshot
    event_number: int | None = None
    after: Snapshot | None = None

    @classmethod
    def behind(cls, change_id: int, upto: Snapshot, after: Snapshot) -> Cursor:
        """Of those who have seen what ``after`` sees, and of ``upto`` all changes up to ``change_id``."""
        return cls(upto, event_number(change_id), after)

    @property
    def next_change(self) -> int:
        """The least id that a change may have which ``upto`` sees and which was not told to its end."""
        return 0 if self.event_number is None else (self.event_number + 1) >> 1

    def sees(self, xid: int, event_number: int) -> bool:
        """Whether the event of that number, of transaction ``xid``, has been sent."""
        if self.after is not None and self.after.sees(xid):
            return True
        return self.upto.sees(xid) and (self.event_number is None or event_number <= self.event_number)

    @property
    def base(self) -> Snapshot | None:
        """The snapshot all of whose changes were sent, where the form names one."""
        return self.upto if self.event_number is None else self.after


@dataclass(frozen=True, slots=True)
class Scope:
    """What a cursor belongs to: the ``epoch`` of a log and the fingerprint of a table and its ``query``."""

    epoch: str
    query: str

    @classmethod
    def of(cls, epoch: str, query: str) -> Scope:
        """Shorten the full texts of both so that they fit into an id."""
        return cls(_digest(epoch, _EPOCH_LENGTH), _digest(query, _QUERY_LENGTH))

    def ids(self, upto: Snapshot, after: Snapshot | None = None) -> Ids:
        """The ids of one batch, ``{after, upto, k}`` with every k."""
        head = f"{_VERSION}{self.epoch}{self.query}{_snapshot_text(upto)}"
        return Ids(head, "" if after is None else f"~{_snapshot_text(after)}")


@dataclass(frozen=True, slots=True)
class Ids:
    """Writes the ids of one batch; their common part is written once. ``None`` stands for an id that is too long."""

    head: str
    tail: str

    def end(self) -> str | None:
        """The id at the end of the batch."""
        return _checked(self.head)

    def at(self, event_number: int) -> str | None:
        """The id of the event of that number."""
        return _checked(f"{self.head}~{_number_text(event_number)}{self.tail}")


def encode(cursor: Cursor, scope: Scope) -> str | None:
    """Write the text of ``cursor``: short ASCII, or ``None`` beyond :data:`MAX_LENGTH`."""
    ids = scope.ids(cursor.upto, cursor.after)
    return ids.end() if cursor.event_number is None else ids.at(cursor.event_number)


def decode(text: str) -> tuple[Cursor, Scope]:
    """Read what :func:`encode` wrote. Raises :exc:`~sseapp.errors.MalformedCursorError` for anything else.

    The check is short, so one in some thousand made-up texts passes. PostgreSQL can read such a cursor, and it
    misleads only the client that made it up.
    """
    form = _FORM.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if form is None or _check(text[: -_CHECK_LENGTH - 1]) != form["check"]:
        raise MalformedCursorError
    number = None if form["number"] is None else _number(form["number"])
    after = None if form["after"] is None else _snapshot(form["after"])
    return Cursor(_snapshot(form["upto"]), number, after), Scope(form["epoch"], form["query"])


def _snapshot_text(snapshot: Snapshot) -> str:
    """``xmax``, then each entry in flight, from the top, as the distance to the one above."""
    numbers, above = [snapshot.xmax], snapshot.xmax
    for xid in reversed(snapshot.xip):
        numbers.append(above - xid)
        above = xid
    return ".".join(map(_number_text, numbers))


def _snapshot(text: str) -> Snapshot:
    xmax, *distances = map(_number, text.split("."))
    if xmax == 0:
        raise MalformedCursorError
    xip, above = [], xmax
    for distance in distances:
        above -= distance
        if distance == 0 or above <= 0 or not above & _LOWER_HALF:
            raise MalformedCursorError
        xip.append(above)
    return Snapshot(xmax, tuple(reversed(xip)))


def _number_text(number: int) -> str:
    digits = ""
    while number >= 64:  # noqa: PLR2004  # the base
        number, digit = divmod(number, 64)
        digits = _DIGITS[digit] + digits
    return _DIGITS[number] + digits


def _number(text: str) -> int:
    number = 0
    for digit in text:
        number = number * 64 + _VALUE[digit]
    if number >= 1 << 63:
        raise MalformedCursorError
    return number


def _checked(text: str) -> str | None:
    checked = f"{text}!{_check(text)}"
    return checked if len(checked) <= MAX_LENGTH else None


def _check(text: str) -> str:
    value = crc32(text.encode("ascii"))
    return _DIGITS[value & 63] + _DIGITS[value >> 6 & 63]


def _digest(text: str, length: int) -> str:
    value = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
    return "".join(_DIGITS[value >> 6 * place & 63] for place in range(length))
