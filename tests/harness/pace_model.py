"""A model of the bell: writers, setters of the lease, the clock and a listener, each step of each at any moment.

``lost`` walks through all states that can be reached, and finds one in which a committed change waits for a listener
that sleeps and that nothing is going to wake. The listener goes by :class:`~sseapp.log.pace.SleepPermit`, or by a
broken rule.

One listener is enough, that connects at any moment: listeners have nothing in common but the lease, which is set here
at any time, and one that dies and comes back is one that connects late. Every writer commits: one that does not has
nothing to lose.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import NamedTuple

from sseapp.log.pace import Reading, SleepPermit

WRITES = ("log", "lease", "clock", "presence", "end")
"""What a writer does: gets its id and logs its row, reads the lease, the clock, whether anybody listens; commits."""

IDLE, SET, OVER = range(3)
"""A setter: is to come, has set the lease and not committed yet, has ended."""

AWAY, AWAKE, SEEING, READING, FENCING, ASLEEP, STARTING = range(7)
"""A listener: not there; is to read the log; has the read's snapshot; its lease; wants a fence; waits; connects."""

_ENDED = -99


class Writer(NamedTuple):
    """``done`` counts what it has done; ``xid`` is -1 outside of it; ``value``: the lease, then whether it rings."""

    done: int = 0
    xid: int = -1
    value: int = 0


class Setter(NamedTuple):
    at: int = IDLE
    xid: int = -1


class Listener(NamedTuple):
    """``behind``: something was committed that its last snapshot does not see; ``late``: who was to wake it has died.

    ``xmin`` and ``flying`` are the snapshot's, as PostgreSQL tells them, until they are put to use.
    """

    at: int = AWAY
    bell: bool = False
    behind: bool = False
    late: bool = False
    xmin: int = -1
    flying: frozenset[int] = frozenset()
    lease: int = 0
    rest: object = None


class State(NamedTuple):
    """``xid`` is the next to be given out, ``xmax`` the one above the last that has ended."""

    writers: tuple[Writer, ...]
    setters: tuple[Setter, ...]
    listener: Listener = Listener()
    clock: int = 2
    lease: int = 1
    present: bool = False
    xid: int = 0
    xmax: int = 0

    def seen_by(self, listener):
        """The listener's next snapshot; no list in flight names those above the last that has ended."""
        flying = frozenset(actor.xid for actor in (*self.writers, *self.setters) if 0 <= actor.xid < self.xmax)
        return listener._replace(behind=False, xmin=min(flying, default=self.xmax), flying=flying)

    def ends(self, xid, *, commits=False, rings=False):
        """A transaction ends; its actor has to be put back."""
        listener = self.listener
        if listener.at != AWAY:
            listener = listener._replace(bell=listener.bell or rings, behind=listener.behind or commits)
        return self._replace(xmax=max(self.xmax, xid + 1), listener=listener)


@dataclass(frozen=True)
class Rules:
    """What is walked through, and what of it may be broken. ``leases`` are the durations that are set; 0 ends one."""

    rest: object = SleepPermit()
    writes: tuple[str, ...] = WRITES
    setters_ring: bool = True
    attends: str = "first"
    rests: bool = True
    writers: int = 2
    leases: tuple[int, ...] = (2, 0)


def lost(rules):
    """A state in which a change is lost to a sleeper, or None; and how often what was met."""
    start = State((Writer(),) * rules.writers, (Setter(),) * len(rules.leases))
    found, waiting, met = {start}, [start], Counter()
    while waiting:
        state = waiting.pop()
        if _is_lost(state, met):
            return state, met
        for following in map(_shifted, _following(state, rules)):
            if following not in found:
                found.add(following)
                waiting.append(following)
    met["states"] = len(found)
    return None, met


def _is_lost(state, met):
    listener = state.listener
    if listener.at != ASLEEP or listener.bell:
        return False
    awaited = any(setter.at == SET for setter in state.setters)
    met["asleep"] += 1
    met["asleep, and behind until its tick"] += listener.behind and listener.late
    met["asleep, and behind until the setter's commit"] += listener.behind and awaited
    return listener.behind and not awaited and not listener.late


def _shifted(state):
    """The same in the smallest numbers that will do, so that there are fewer states to walk through.

    Transaction ids start at 0, the clock stands at 0; leases that have run out are told from each other, no more.
    """
    listener, rest = state.listener, state.listener.rest
    if not isinstance(rest, SleepPermit | None):
        return state
    fence = -1 if rest is None or rest.fence is None else rest.fence
    needed = [actor.xid for actor in (*state.writers, *state.setters)] + [listener.xmin, fence]
    by = min([xid for xid in needed if xid >= 0] + [state.xmax])
    over = {}

    def lease(value):
        return value - state.clock if value > state.clock else over.setdefault(value, -len(over))

    now = lease(state.lease)
    if rest is not None and rest.lease is not None:
        rest = SleepPermit(lease(rest.lease), None if fence < 0 else 0 if rest.allowed else fence - by, rest.allowed)
    at, bell, behind, late, xmin, _, read, _ = listener
    read = lease(read) if at == READING else 0
    return State(
        tuple(
            sorted(
                Writer(w.done, w.xid - by if w.xid >= 0 else -1, lease(w.value) if w.done == 2 else w.value)
                for w in state.writers
            )
        ),
        tuple(Setter(s.at, s.xid - by if s.xid >= 0 else -1) for s in state.setters),
        Listener(at, bell, behind, late, xmin - by if xmin >= 0 else -1, frozenset(), read, rest),
        0,
        now,
        state.present,
        state.xid - by,
        state.xmax - by,
    )


def _following(state, rules):
    """All states that one step of anyone leads to."""
    if state.clock < 6:
        yield state._replace(clock=state.clock + 1)
    for place, writer in enumerate(state.writers):
        # those that have done the same are alike
        if writer not in state.writers[:place] and writer.done < len(rules.writes):
            for following, after in _written(state, writer, rules):
                yield following._replace(writers=_put(state.writers, place, after))
    for place, setter in enumerate(state.setters):
        for following, after in _set(state, setter, rules.leases[place], rules):
            yield following._replace(setters=_put(state.setters, place, after))
    yield from _listened(state, rules)
    if state.present and state.listener.at == ASLEEP and rules.attends == "first":
        # it is stalled for longer than it has promised: it finds what it missed when it goes on
        yield state._replace(present=False, listener=state.listener._replace(late=True))


def _put(items, place, item):
    return (*items[:place], item, *items[place + 1 :])


def _written(state, writer, rules):
    done = writer.done + 1
    match rules.writes[writer.done]:
        case "log":
            yield state._replace(xid=state.xid + 1), Writer(done, state.xid, writer.value)
        case "lease":
            yield state, Writer(done, writer.xid, state.lease)
        case "clock":
            yield state, Writer(done, writer.xid, writer.value <= state.clock)
        case "presence":
            yield state, Writer(done, writer.xid, writer.value and state.present)
        case "end":
            yield state.ends(writer.xid, commits=True, rings=writer.value), Writer(done)


def _set(state, setter, lease, rules):
    if setter.at == IDLE:
        # one that has ended at once has a value of its own too
        value = state.clock + lease if lease else _ENDED
        yield state._replace(lease=value, xid=state.xid + 1), Setter(SET, state.xid)
    elif setter.at == SET:
        yield state.ends(setter.xid, rings=rules.setters_ring), Setter(OVER)
        ended = state.ends(setter.xid)
        yield ended._replace(listener=ended.listener._replace(late=ended.listener.at != AWAY)), Setter(OVER)


def _listened(state, rules):
    listener = state.listener
    if listener.at == AWAY:
        at = STARTING if rules.attends == "first" else AWAKE
        yield state._replace(listener=Listener(at, rest=rules.rest))
    elif listener.at == STARTING or (not state.present and (rules.attends == "first" or listener.at == ASLEEP)):
        # promises to be there; one whose promise has run out settles anew
        rest = rules.rest if rules.rests or listener.at == STARTING else listener.rest
        at = AWAKE if rules.rests or listener.at == STARTING else listener.at
        yield state._replace(
            present=True,
            listener=listener._replace(at=at, rest=rest, bell=False, late=False, xmin=-1, flying=frozenset(), lease=0),
        )
    elif listener.at == AWAKE or (listener.at == ASLEEP and (listener.bell or listener.late)):
        yield state._replace(listener=state.seen_by(listener._replace(at=SEEING, bell=False, late=False)))
    elif listener.at == SEEING:
        yield state._replace(listener=listener._replace(at=READING, lease=state.lease))
    elif listener.at == READING:
        yield state._replace(listener=_read(listener, state.clock))
    elif listener.at == FENCING:
        fenced = listener._replace(at=AWAKE, rest=listener.rest.fenced(state.xid))
        yield state._replace(listener=fenced, xid=state.xid + 1, xmax=state.xid + 1)


def _read(listener, clock):
    reading = Reading(listener.lease, clock, f"{listener.xmin}:")
    rest = listener.rest
    rest = rest.after(reading) if isinstance(rest, SleepPermit) else rest.after_list(reading, listener.flying)
    at = ASLEEP if rest.allowed else FENCING if rest.needs_fence else AWAKE
    return listener._replace(at=at, rest=rest, xmin=-1, flying=frozenset(), lease=0)


@dataclass(frozen=True)
class Careless:
    """A broken rule: sleeps as soon as the lease has run out."""

    allowed: bool = False
    needs_fence: bool = False

    def after_list(self, reading, flying):
        del flying
        return replace(self, allowed=not reading.left)


@dataclass(frozen=True)
class Listed:
    """A broken rule: waits for those in flight in a snapshot, its own statement's or a ``later`` one's."""

    later: bool
    lease: int | None = None
    awaited: frozenset[int] | None = None
    allowed: bool = False
    needs_fence: bool = False

    def after_list(self, reading, flying):
        if reading.left:
            return Listed(self.later)
        if reading.lease != self.lease:
            rule = Listed(self.later, reading.lease, None if self.later else flying)
        else:
            rule = replace(self, awaited=flying) if self.awaited is None else self
        over = rule.awaited is not None and not rule.awaited & flying
        return replace(rule, allowed=rule.allowed or over)
