"""``"end":true``: the last change of a transaction on a stream, and in the answers of the long poll."""

from __future__ import annotations

import pytest
from harness.clusters import NEWEST, bindir
from harness.site import site as serve_site


@pytest.fixture(scope="module")
def small(clusters):
    """It reads the log two changes at a time."""
    if bindir(NEWEST) is None:
        pytest.skip("the newest PostgreSQL is not here")
    with serve_site(clusters.shared(NEWEST), batch="2") as site:
        yield site


def _write(site, table):
    """Two transactions that overlap; of the second one the filter takes what comes first."""
    with site.session() as one, site.session() as two:
        one.execute(f"INSERT INTO {table} VALUES (1, 'x'), (2, 'x')")
        two.execute(f"INSERT INTO {table} VALUES (11, 'x'), (12, 'y'), (13, 'y'), (14, 'y'), (15, 'y')")
        one.execute(f"UPDATE {table} SET id = 3 WHERE id = 1; DELETE FROM {table} WHERE id = 2")
        two.execute(f"UPDATE {table} SET a = 'z' WHERE id = 12")
        two.connection.commit()
        one.connection.commit()


def _told(event, data):
    return (event, (data.get("row") or data.get("old"))["id"], data.get("end", False))


ALL = [
    ("delete", 2, True),
    ("update", 12, True),
]


def _ends(told):
    return [one for one in told if one[2]]


def test_the_last_change_says_so(small):
    table = small.table()
    cursor = small.changes(table)["cursor"]
    with small.follow(table) as stream, small.follow(table, a="eq.x") as some:
        stream.event("snapshot")
        some.event("snapshot")
        _write(small, table)
        told = [_told(event, data) for event, data in stream.told(11)]
        assert sorted(_ends(told)) == ALL
        told = [_told(event, data) for event, data in some.told(6)]
        assert sorted(_ends(told)) == [("delete", 2, True), ("insert", 11, True)]
        # one of its own
        small.sql(f"INSERT INTO {table} VALUES (20, 'x')")
        assert _told(*some.told(1)[0]) == ("insert", 20, True)
    with small.follow(table, after=cursor) as late, small.follow(table, after=cursor, snapshot="no") as later:
        for stream in (late, later):
            assert sorted(_ends([_told(event, data) for event, data in stream.told(11)])) == ALL


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_the_long_poll_says_so_too(small, limit):
    table = small.table()
    cursor, some = small.changes(table)["cursor"], small.changes(table, a="eq.x")["cursor"]
    _write(small, table)
    assert sorted(_ends(_polled(small, table, cursor, 11, limit=limit))) == ALL
    told = _polled(small, table, some, 6, limit=limit, a="eq.x")
    assert sorted(_ends(told)) == [("delete", 2, True), ("insert", 11, True)]


def _polled(site, table, cursor, count, **asked):
    told = []
    for _ in range(50):
        answer = site.changes(table, after=cursor, wait=0, **asked)
        assert len(answer["changes"]) <= asked["limit"]
        told += [_told(change["event"], change) for change in answer["changes"]]
        cursor = answer["cursor"]
    assert len(told) == count
    return told
