"""The algebra of the cursor on a simulated database: no interleaving loses or repeats a change.

Real are the listener, the hub, the rings, the subscriptions, the long poll and what they are made of. Simulated are
PostgreSQL behind its statements, the waits (so that every order of steps may happen), the clock and the clients.
"""

from __future__ import annotations

from contextlib import ExitStack
from random import Random

import pytest
from harness.model.breaks import BREAKS
from harness.model.oracle import ViolationError
from harness.model.world import Faults, simulated
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

STEPS = 500
SEARCHED = 200
"""Histories in which a break has to show; a few are enough for most."""

WITHOUT_RESETS = {
    "lines are cut": Faults(cut=60, drop=10),
    "processes die": Faults(cut=20, drop=20, die=20),
    "the database crashes": Faults(cut=20, crash=20),
    "clients are too slow": Faults(cut=20, ring=(600,)),
    "much changes at once": Faults(cut=40, large=(2,), batch=(1, 2)),
}
WITH_RESETS = {
    "the log is pruned": Faults(cut=40, prune=30),
    "tables change their shape": Faults(cut=40, reset=10),
    "commits are lost in a crash": Faults(cut=20, forgetful_crash=20),
    "a standby takes over": Faults(cut=20, fail_over=2),
    "all of it": Faults(
        cut=40, drop=5, die=3, crash=5, fail_over=1, prune=10, reset=3, large=(2, 10_000), ring=(600, 1 << 20)
    ),
}


def _run(seed, faults, steps=STEPS):
    """A history, to its end, and what it held."""
    with simulated(Random(seed), faults) as world:
        try:
            world.run(steps)
            world.check()
        finally:
            world.end()
        return world


def _is_telling(world):
    assert sum(client.events for client in world.clients) > 10, "too little happened to prove anything"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", WITHOUT_RESETS)
def test_all_is_told_once_and_without_a_reset(name, seed):
    world = _run(seed, WITHOUT_RESETS[name])
    _is_telling(world)
    assert world.resets == 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", WITH_RESETS)
def test_all_is_told_once_or_a_reset_is_told(name, seed):
    world = _run(seed, WITH_RESETS[name])
    _is_telling(world)


@pytest.mark.parametrize("name", BREAKS)
def test_the_model_sees_each_rule_broken(name, monkeypatch):
    breaks, faults = BREAKS[name]
    breaks(monkeypatch)
    for seed in range(SEARCHED):
        try:
            _run(seed, faults)
        except ViolationError:
            return
    pytest.fail(f"{name}: nothing was lost or repeated in {SEARCHED} histories")


def _commit(postgres, watch, count):
    transaction = postgres.begin()
    for _ in range(count):
        postgres.log_change(transaction, watch, "i", new='{"id":1,"part":1,"v":1}')
    postgres.commit(transaction)


def _listen(world, until):
    """Only the listener runs: nobody has a stream."""
    listener, task = world.workers[0].listener, world.workers[0].tasks[0]
    for _ in range(1000):
        if until(listener):
            return listener
        task.step()
    raise AssertionError("it has waited in vain")


def test_what_a_large_batch_left_out_counts_as_seen():
    # or an id of a later batch that lies below would not name what was seen before, and a resume would repeat it
    with simulated(Random(0), Faults(batch=(2,))) as world:
        listener = _listen(world, lambda listener: listener.error is None)
        _commit(world.postgres, watch=1, count=90)
        _listen(world, lambda listener: listener.changes and listener._cursor.event_number is None)
        assert listener.changes < 90, "the rest was left out"
        assert listener._sent == world.postgres.greatest_id
        world.end()


class Model(RuleBasedStateMachine):
    """The same, driven by Hypothesis: it finds the shortest history that goes wrong."""

    def __init__(self):
        super().__init__()
        self._stack = ExitStack()

    @initialize(seed=st.integers(0, 1 << 16))
    def begins(self, seed):
        self.world = self._stack.enter_context(simulated(Random(seed), Faults()))

    @rule(count=st.integers(1, 20))
    def applications_write(self, count):
        for _ in range(count):
            self.world.write()

    @rule(count=st.integers(1, 20))
    def processes_go_on(self, count):
        for _ in range(count):
            self.world.advance()

    @rule(fault=st.sampled_from(["cut", "drop", "die", "crash", "prune", "reset"]))
    def a_fault_happens(self, fault):
        self.world.suffer(fault)

    @rule()
    def everyone_is_told(self):
        self.world.check()

    def teardown(self):
        try:
            self.world.check()
        finally:
            self.world.end()
            self._stack.close()


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=8, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_what_is_left_out_of_a_batch_is_not_left_out_of_another():
    with simulated(Random(0), Faults(batch=(1,), large=(1,), size=(1,))) as world:
        _listen(world, lambda listener: listener.error is None)
        for watch in (1, 2):
            _commit(world.postgres, watch, count=2)
        _listen(world, lambda listener: listener._remainder is not None and listener._remainder.large == {2})
        world.postgres.mark()
        world.postgres.prune(step=1)
        listener = _listen(world, lambda listener: listener.reconnects == 1 and listener.error is None)
        assert listener._remainder is None
        world.end()
