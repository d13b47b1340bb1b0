"""Partitioned tables and inheritance."""

from __future__ import annotations

import pytest
from harness.watching import execute


@pytest.fixture
def site(site):
    site.run("""CREATE TABLE p (id int, region text, n int DEFAULT 0, PRIMARY KEY (id, region))
        PARTITION BY LIST (region);
        CREATE TABLE north PARTITION OF p FOR VALUES IN ('north') PARTITION BY RANGE (id);
        CREATE TABLE north_low PARTITION OF north FOR VALUES FROM (0) TO (100);
        CREATE TABLE south (n int, gone text, id int NOT NULL, region text NOT NULL);
        ALTER TABLE south DROP COLUMN gone;
        ALTER TABLE p ATTACH PARTITION south FOR VALUES IN ('south')""")
    return site


def changes(site, watch):
    log = site.log("kind::text, coalesce(new, old)", "iud", watch)
    return [(kind, row["id"], row["region"]) for kind, row in log]


@pytest.mark.parametrize(
    "options", [{}, {"hide": ["n"]}, {"only_columns": ["region", "id"]}], ids=["all", "hide", "only"]
)
def test_written_through_the_parent_and_through_a_partition(site, options):
    watch = site.watch("p", **options)
    site.run("INSERT INTO p VALUES (1, 'north'), (2, 'south'); INSERT INTO north_low VALUES (3, 'north')")
    site.run("INSERT INTO south (id, region) VALUES (4, 'south'); INSERT INTO north VALUES (5, 'north')")
    site.run("DELETE FROM south WHERE id = 2; UPDATE p SET id = 6 WHERE id = 5")
    assert changes(site, watch) == [
        ("i", 1, "north"), ("i", 2, "south"), ("i", 3, "north"), ("i", 4, "south"), ("i", 5, "north"),
        ("d", 2, "south"), ("u", 6, "north"),
    ]  # fmt: skip
    rows = [new for _, _, new in site.events() if new]
    assert all(("n" in row) == (not options) for row in rows)


def test_new_partitions_are_watched_too(site):
    watch = site.watch("p")
    site.run(
        "CREATE TABLE east PARTITION OF p FOR VALUES IN ('east'); CREATE TABLE north_high PARTITION OF north DEFAULT"
    )
    site.run("INSERT INTO east VALUES (1, 'east'); INSERT INTO p VALUES (500, 'north')")
    replica = site.session("postgres", "SET session_replication_role = replica")
    execute(replica, "INSERT INTO east VALUES (2, 'east'); INSERT INTO south (id, region) VALUES (3, 'south')")
    assert [key for _, key, _ in changes(site, watch)] == [1, 500, 2, 3]


def test_a_row_that_moves_between_partitions_is_a_delete_and_an_insert(site):
    watch = site.watch("p")
    site.run("INSERT INTO p VALUES (1, 'north'); UPDATE p SET region = 'south'")
    assert changes(site, watch) == [("i", 1, "north"), ("d", 1, "north"), ("i", 1, "south")]


def test_truncate_of_the_parent_is_one_change_and_no_reset(site):
    watch = site.watch("p")
    site.run("INSERT INTO p VALUES (1, 'north'), (2, 'south'); TRUNCATE p")
    assert [kind for kind, _, _ in site.log()] == ["i", "i", "t"]
    assert site.value("SELECT sseapp.check_shapes()") == 0
    assert len(site.resets(watch)) == 1


def test_a_partition_may_be_watched_itself_beside_its_parent(site):
    parent, part = site.watch("p"), site.watch("north_low", hide=["n"])
    site.run("INSERT INTO p VALUES (1, 'north'), (2, 'south'); UPDATE p SET region = 'south' WHERE id = 1; TRUNCATE p")
    assert [kind for kind, _, _ in site.log(watch=parent)] == ["i", "i", "d", "i", "t"]
    assert [kind for kind, _, _ in site.log(watch=part)] == ["i", "d", "t"]
    site.run("SELECT sseapp.unwatch('p')")
    site.run("INSERT INTO p VALUES (3, 'north')")
    assert changes(site, part)[-1] == ("i", 3, "north")


def test_a_watched_table_can_become_a_partition_of_a_watched_one_and_leave_it(site):
    parent = site.watch("p")
    site.run("CREATE TABLE west (LIKE p)")
    alone = site.watch("west", hide=["n"])
    site.run("ALTER TABLE p ATTACH PARTITION west FOR VALUES IN ('west'); INSERT INTO west VALUES (1, 'west')")
    site.run("ALTER TABLE p DETACH PARTITION west; INSERT INTO west VALUES (2, 'west')")
    assert changes(site, parent) == [("i", 1, "west")]
    assert changes(site, alone) == [("i", 1, "west"), ("i", 2, "west")]


def test_a_detached_partition_is_no_longer_watched(site):
    watch = site.watch("p")
    site.run("ALTER TABLE p DETACH PARTITION south; INSERT INTO south (id, region) VALUES (1, 'south'); TRUNCATE south")
    assert changes(site, watch) == []


def test_a_parent_by_inheritance_logs_its_own_rows_only(site):
    site.run("CREATE TABLE base (id int); CREATE TABLE heir (extra int) INHERITS (base)")
    site.watch("base")
    site.run(
        "INSERT INTO base VALUES (1); INSERT INTO heir VALUES (2, 2); UPDATE base SET id = id + 10; DELETE FROM heir"
    )
    assert [kind for kind, _, _ in site.log()] == ["i", "u"]
    assert site.replayed() == site.rows("ONLY base")
