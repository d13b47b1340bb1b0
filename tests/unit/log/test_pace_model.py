"""No wake-up is lost, whatever comes between: see :mod:`harness.pace_model`. And each part of the rule is needed."""

from __future__ import annotations

import pytest
from harness.pace_model import Careless, Listed, Rules, lost


@pytest.mark.parametrize(
    "rules", [Rules(leases=(1,)), Rules(writers=1, leases=(1, 0))], ids=["two writers", "a lease that is ended"]
)
def test_no_change_is_lost_to_a_sleeper(rules):
    state, met = lost(rules)
    assert state is None
    assert all(met.values()), "the walk has seen sleepers that miss a change, each to be told soon"


BROKEN = {
    "sleeps without settling": Rules(rest=Careless()),
    "settles by the list in flight of the statement that read the lease": Rules(rest=Listed(later=False)),
    "settles by the list in flight of a later snapshot": Rules(rest=Listed(later=True)),
    "a writer looks before it has its transaction id": Rules(writes=("lease", "clock", "presence", "log", "end")),
    "a writer looks whether anybody listens before it has its transaction id": Rules(
        writes=("lease", "clock", "presence", "log", "end"), leases=()
    ),
    "a listener reads before it promises to be there": Rules(attends="last", leases=()),
    "a listener whose promise has run out rests on": Rules(rests=False, leases=()),
    "a setter does not ring": Rules(setters_ring=False),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_change_is_lost_where_one(name):
    state, _ = lost(BROKEN[name])
    assert state is not None
