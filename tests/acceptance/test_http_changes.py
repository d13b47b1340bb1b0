"""The events of /tables/<table>/changes: what each change is to a subscriber."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from harness.site import name


def _told(stream, count):
    """The next events, without ``at``, ``xid`` and ``end``."""
    return [
        (event, {k: v for k, v in data.items() if k not in ("at", "xid", "end")}) for event, data in stream.told(count)
    ]


def _rows(stream):
    return stream.event("snapshot").json["rows"]


def test_insert_update_delete_truncate(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table) as stream:
        assert stream.event("snapshot").json == {
            "table": f"public.{table}",
            "key": ["id"],
            "part": 1,
            "rows": [{"id": 1, "a": "x"}],
            "more": False,
        }
        site.sql(f"INSERT INTO {table} VALUES (2, 'y')")
        site.sql(f"UPDATE {table} SET a = 'z' WHERE id = 2")
        site.sql(f"DELETE FROM {table} WHERE id = 1")
        site.sql(f"TRUNCATE {table}")
        assert _told(stream, 4) == [
            ("insert", {"row": {"id": 2, "a": "y"}}),
            ("update", {"row": {"id": 2, "a": "z"}, "old": {"id": 2, "a": "y"}}),
            ("delete", {"old": {"id": 1, "a": "x"}}),
            ("truncate", {}),
        ]


def test_a_change_says_when_it_was_written_and_in_which_transaction(site):
    table = site.table()
    with site.follow(table) as stream, site.session() as session:
        _rows(stream)
        session.execute("SELECT pg_current_xact_id()::text, clock_timestamp()")
        xid, before = session.fetchone()
        session.execute(f"INSERT INTO {table} VALUES (1)")
        session.execute("SELECT pg_sleep(0.01), clock_timestamp()")
        _, after = session.fetchone()
        session.execute("COMMIT")
        site.sql(f"TRUNCATE {table}")
        data = stream.event("insert").json
        assert data["xid"] == xid
        assert before <= datetime.fromisoformat(data["at"]) <= after
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00", data["at"])
        data = stream.event("truncate").json
        assert datetime.now(UTC) - datetime.fromisoformat(data["at"]) < timedelta(minutes=1)
        assert int(data["xid"]) > int(xid)


def test_changes_come_in_the_order_they_were_made_and_only_when_committed(site):
    table = site.table()
    with site.follow(table) as stream, site.session() as session:
        _rows(stream)
        session.execute(f"INSERT INTO {table} VALUES (1, 'early, committed late')")
        site.sql(f"INSERT INTO {table} VALUES (2, 'late, committed early')")
        session.execute("SAVEPOINT s")
        session.execute(f"INSERT INTO {table} VALUES (3, 'never')")
        session.execute("ROLLBACK TO s")
        session.execute(f"UPDATE {table} SET a = 'b' WHERE id = 1")
        assert stream.event("insert").json["row"]["id"] == 2
        session.execute("COMMIT")
        assert _told(stream, 2) == [
            ("insert", {"row": {"id": 1, "a": "early, committed late"}}),
            ("update", {"row": {"id": 1, "a": "b"}, "old": {"id": 1, "a": "early, committed late"}}),
        ]


def test_an_update_that_changes_nothing_visible_is_none(site):
    table = site.table("id int PRIMARY KEY, a text, secret text", watch="hide => '{secret}'", rows="(1, 'x', 's')")
    with site.follow(table) as stream:
        _rows(stream)
        site.sql(f"UPDATE {table} SET a = a")
        site.sql(f"UPDATE {table} SET secret = 'other'")
        site.sql(f"UPDATE {table} SET a = 'y'")
        assert _told(stream, 1) == [("update", {"row": {"id": 1, "a": "y"}, "old": {"id": 1, "a": "x"}})]


def test_a_row_that_enters_a_filter_is_inserted_and_one_that_leaves_it_is_deleted(site):
    table = site.table("id int PRIMARY KEY, n int", rows="(1, 5), (2, 50)")
    with site.follow(table, n="gte.10") as stream:
        assert _rows(stream) == [{"id": 2, "n": 50}]
        site.sql(f"UPDATE {table} SET n = 15 WHERE id = 1")  # enters
        site.sql(f"UPDATE {table} SET n = 16 WHERE id = 1")  # stays
        site.sql(f"UPDATE {table} SET n = 6 WHERE id = 2")  # leaves
        site.sql(f"UPDATE {table} SET n = 7 WHERE id = 2")  # outside
        site.sql(f"DELETE FROM {table} WHERE id = 2")  # outside
        site.sql(f"INSERT INTO {table} VALUES (3, 9)")  # outside
        site.sql(f"UPDATE {table} SET n = NULL WHERE id = 1")  # leaves: NULL is in no range
        assert _told(stream, 4) == [
            ("insert", {"row": {"id": 1, "n": 15}}),
            ("update", {"row": {"id": 1, "n": 16}, "old": {"id": 1, "n": 15}}),
            ("delete", {"old": {"id": 2, "n": 50}}),
            ("delete", {"old": {"id": 1, "n": 16}}),
        ]


def test_truncate_is_told_whatever_the_filter(site):
    table = site.table()
    with site.follow(table, a="eq.nothing") as stream:
        _rows(stream)
        site.sql(f"TRUNCATE {table}")
        stream.event("truncate")


def test_a_changed_key_is_a_delete_and_an_insert(site):
    table = site.table("a int, b text, c text, PRIMARY KEY (a, b)", rows="(1, 'x', 'y')")
    with site.follow(table) as stream:
        assert stream.event("snapshot").json["key"] == ["a", "b"]
        site.sql(f"UPDATE {table} SET b = 'z'")
        site.sql(f"UPDATE {table} SET c = 'w'")
        first, second, third = stream.events(3)
        assert (first.name, first.json["old"]) == ("delete", {"a": 1, "b": "x", "c": "y"})
        assert (second.name, second.json["row"]) == ("insert", {"a": 1, "b": "z", "c": "y"})
        assert third.name == "update"
        assert first.json["xid"] == second.json["xid"]


def test_resuming_between_the_two_halves_of_a_changed_key_repeats_neither(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table) as stream:
        _rows(stream)
        site.sql(f"UPDATE {table} SET id = 2; UPDATE {table} SET a = 'y'")
        between = stream.event("delete").id
    with site.follow(table, last_id=between) as stream:
        assert _told(stream, 2) == [
            ("insert", {"row": {"id": 2, "a": "x"}}),
            ("update", {"row": {"id": 2, "a": "y"}, "old": {"id": 2, "a": "x"}}),
        ]


def test_without_a_key_an_update_is_a_delete_and_an_insert(site):
    table = site.table("a int, b text", rows="(1, 'x'), (1, 'x')")
    with site.follow(table) as stream:
        snapshot = stream.event("snapshot").json
        assert (snapshot["key"], snapshot["rows"]) == (None, [{"a": 1, "b": "x"}] * 2)
        site.sql(f"UPDATE {table} SET b = 'y'")
        assert [event for event, _ in _told(stream, 4)] == ["delete", "insert", "delete", "insert"]


def test_a_unique_index_over_columns_that_are_not_null_is_a_key(site):
    table = site.table("a int NOT NULL UNIQUE, b text", rows="(1, 'x')")
    with site.follow(table) as stream:
        assert stream.event("snapshot").json["key"] == ["a"]
        site.sql(f"UPDATE {table} SET b = 'y'")
        assert _told(stream, 1) == [("update", {"row": {"a": 1, "b": "y"}, "old": {"a": 1, "b": "x"}})]


def test_columns_shows_those_alone_and_the_key_and_hears_of_no_other(site):
    table = site.table("id int PRIMARY KEY, a text, b text, c text", rows="(1, 'x', 'y', 'z')")
    with site.follow(table, columns="b") as stream:
        assert _rows(stream) == [{"id": 1, "b": "y"}]
        site.sql(f"UPDATE {table} SET a = 'other'")
        site.sql(f"UPDATE {table} SET b = 'new', c = 'other'")
        site.sql(f"INSERT INTO {table} VALUES (2, 'p', 'q', 'r')")
        site.sql(f"UPDATE {table} SET id = 3 WHERE id = 2")
        site.sql(f"DELETE FROM {table} WHERE id = 1")
        assert _told(stream, 5) == [
            ("update", {"row": {"id": 1, "b": "new"}, "old": {"id": 1, "b": "y"}}),
            ("insert", {"row": {"id": 2, "b": "q"}}),
            ("delete", {"old": {"id": 2, "b": "q"}}),
            ("insert", {"row": {"id": 3, "b": "q"}}),
            ("delete", {"old": {"id": 1, "b": "new"}}),
        ]


def test_a_filter_may_ask_for_a_column_that_is_not_shown(site):
    table = site.table("id int PRIMARY KEY, a text, b text", rows="(1, 'x', 'y'), (2, 'n', 'y')")
    with site.follow(table, columns="b", a="eq.x") as stream:
        assert _rows(stream) == [{"id": 1, "b": "y"}]
        site.sql(f"UPDATE {table} SET a = 'x' WHERE id = 2")
        site.sql(f"UPDATE {table} SET a = 'n' WHERE id = 1")
        assert _told(stream, 2) == [("insert", {"row": {"id": 2, "b": "y"}}), ("delete", {"old": {"id": 1, "b": "y"}})]


def test_a_bulk_change_and_a_merge(site):
    table = site.table()
    with site.follow(table) as stream:
        _rows(stream)
        site.sql(f"INSERT INTO {table} SELECT n, 'x' FROM generate_series(1, 3000) n")
        assert [data["row"]["id"] for _, data in stream.told(3000)] == list(range(1, 3001))
        site.sql(f"INSERT INTO {table} VALUES (1, 'y'), (3001, 'z') ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a")
        assert [event for event, _ in _told(stream, 2)] == ["update", "insert"]
        site.sql(
            f"MERGE INTO {table} t USING (VALUES (1), (4000)) s(id) ON t.id = s.id "
            "WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'm')"
        )
        assert sorted(event for event, _ in _told(stream, 2)) == ["delete", "insert"]


def test_writes_through_a_partition_and_from_one_to_another(site):
    table = site.table("id int PRIMARY KEY) PARTITION BY RANGE (id")
    for part, first, last in (("a", 0, 10), ("b", 10, 20)):
        site.sql(f"CREATE TABLE {table}_{part} PARTITION OF {table} FOR VALUES FROM ({first}) TO ({last})")
    site.shapes_told()
    with site.follow(table) as stream:
        _rows(stream)
        site.sql(f"INSERT INTO {table}_a VALUES (1)")
        site.sql(f"UPDATE {table} SET id = 11")
        assert [event for event, _ in _told(stream, 3)] == ["insert", "delete", "insert"]


def test_a_subscriber_of_one_table_hears_of_no_other(site):
    table, other = site.table(), site.table()
    with site.follow(table) as stream:
        _rows(stream)
        site.sql(f"INSERT INTO {other} VALUES (1, 'other'); INSERT INTO {table} VALUES (1, 'mine')")
        assert _told(stream, 1) == [("insert", {"row": {"id": 1, "a": "mine"}})]


def test_streams_of_one_filter_are_told_the_same_bytes(site):
    table = site.table()
    with site.follow(table, a="neq.x") as one, site.follow(table, a="neq.x") as two:
        _rows(one)
        _rows(two)
        site.sql(f"INSERT INTO {table} VALUES (1, 'y')")
        assert one.event("insert").raw == two.event("insert").raw


def _events(blocks):
    return [block.name for block in blocks if block.fires]


def test_unwatching_ends_the_stream_and_says_so(site):
    table = site.table()
    with site.follow(table) as stream:
        _rows(stream)
        site.sql(f"SELECT sseapp.unwatch('{table}')")
        last = stream.rest()
        assert _events(last) == ["reset", "bye"]
        assert any(table in comment for block in last for comment in block.comments), last
        assert last[-1].retry
    assert site.get(f"/tables/{table}/changes", {"Accept": "text/event-stream"}).status == 404


def test_dropping_the_table_ends_the_stream(site):
    table = site.table()
    with site.follow(table) as stream, site.follow(table, "rows") as rows:
        _rows(stream)
        rows.event("rows")
        site.sql(f"DROP TABLE {table}")
        assert _events(stream.rest()) == ["reset", "bye"]
        assert _events(rows.rest()) == ["bye"]


def test_altering_the_table_resets_the_stream_to_its_new_shape(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table) as stream:
        _rows(stream)
        site.sql(f"INSERT INTO {table} VALUES (2, 'y'); DELETE FROM {table} WHERE id = 2")
        stream.events(2)  # so the listener is past the reset of the watch
        site.sql(f"ALTER TABLE {table} ADD COLUMN b int DEFAULT 7")
        reset, snapshot = stream.events(2)
        assert (reset.name, reset.id) == ("reset", None)
        assert "columns" in reset.json["reason"]
        assert (snapshot.name, snapshot.json["rows"]) == ("snapshot", [{"id": 1, "a": "x", "b": 7}])
        site.sql(f"UPDATE {table} SET b = 8")
        assert _told(stream, 1) == [
            ("update", {"row": {"id": 1, "a": "x", "b": 8}, "old": {"id": 1, "a": "x", "b": 7}})
        ]


def test_a_renamed_column_that_is_asked_for_ends_the_stream_with_the_reason(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table, a="eq.x") as stream:
        _rows(stream)
        site.sql(f"ALTER TABLE {table} RENAME COLUMN a TO b")
        last = stream.rest()
        assert _events(last) == ["reset", "bye"]
    assert site.get(f"/tables/{table}/changes", {"Accept": "text/event-stream"}, a="eq.x").status == 400
    assert site.rows(table) == [{"id": 1, "b": "x"}]


def test_a_changed_watch_resets_the_stream(site):
    table = site.table("id int PRIMARY KEY, a text, b text", rows="(1, 'x', 'secret')")
    with site.follow(table) as stream:
        assert _rows(stream) == [{"id": 1, "a": "x", "b": "secret"}]
        site.sql(f"SELECT sseapp.watch('{table}', hide => '{{b}}')")
        stream.event("reset")
        assert _rows(stream) == [{"id": 1, "a": "x"}]


def test_a_renamed_table_is_found_by_its_new_name(site):
    table, new = site.table(rows="(1, 'x')"), name("renamed")
    with site.follow(table) as stream:
        _rows(stream)
        site.sql(f"ALTER TABLE {table} RENAME TO {new}")
        assert _events(stream.rest()) == ["reset", "bye"]
    assert site.ids(new) == [1]
    assert site.get(f"/tables/{table}/rows").status == 404
