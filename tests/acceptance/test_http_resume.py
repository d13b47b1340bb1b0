"""Resuming by Last-Event-ID and after=: cursors that are valid, and cursors that no longer are."""

from __future__ import annotations

from collections import Counter

import pytest

from sseapp.log.cursor import Cursor, Scope, Snapshot, decode, encode


def _cursor(site, table, **query):
    return site.changes(table, **query)["cursor"]


def _is_reset(stream, reason):
    """A reset without id, its reason, and the snapshot right behind it."""
    reset = stream.event("reset")
    assert (reset.id, list(reset.json)) == (None, ["reason"])
    assert reason in reset.json["reason"]
    snapshot = stream.block()
    assert snapshot.name == "snapshot"
    assert snapshot.id
    return snapshot.json["rows"]


def test_a_stream_goes_on_after_its_last_id(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table) as stream:
        stream.event("snapshot")
        site.sql(f"INSERT INTO {table} VALUES (2, 'y'), (3, 'z')")
        second = stream.event("insert").id
    site.sql(f"UPDATE {table} SET a = 'w' WHERE id = 1")
    with site.follow(table, last_id=second) as stream:
        # no snapshot: just what was missed, then what comes
        assert [(event.name, event.json["row"]["id"]) for event in stream.events(2)] == [("insert", 3), ("update", 1)]
        site.sql(f"UPDATE {table} SET a = 'v' WHERE id = 2")
        assert stream.event("update").json["row"]["id"] == 2
    with site.follow(table, after=second) as stream:
        assert [event.json["row"]["id"] for event in stream.events(3)] == [3, 1, 2]


@pytest.mark.parametrize("name", ["lastEventId", "Last-Event-ID"])
def test_a_client_that_cannot_set_the_header_sends_a_parameter(site, name):
    table = site.table(rows="(1, 'x')")
    with site.follow(table) as stream:
        first = stream.event("snapshot").id
    site.sql(f"INSERT INTO {table} VALUES (2, 'y')")
    with site.follow(table, **{name: first, "_": "1732000000"}) as stream:
        assert stream.event().json["row"]["id"] == 2
        second = stream.last_id
    site.sql(f"INSERT INTO {table} VALUES (3, 'z')")
    with site.follow(table, last_id=second, **{name: first}) as stream:
        assert stream.event().json["row"]["id"] == 3, "the header is newer"
    with site.follow(table, **{name: ""}) as stream:
        assert stream.event().name == "snapshot"
    with site.follow(table, "rows", **{name: first, "_": "1"}) as stream:
        stream.event("rows")
    assert site.ids(table, _="1", **{name: first}) == [1, 2, 3]


def test_each_id_leads_to_just_what_came_after_it(site):
    """Whatever transactions interleave: every id of a stream is tried, and the rest is told once, in order."""
    table = site.table("id int PRIMARY KEY, a int")
    with site.follow(table) as stream, site.session() as slow, site.session() as other:
        stream.event("snapshot")
        slow.execute(f"INSERT INTO {table} VALUES (1, 0)")
        site.sql(f"INSERT INTO {table} VALUES (2, 0), (3, 0)")
        other.execute(f"INSERT INTO {table} VALUES (4, 0)")
        slow.execute(f"UPDATE {table} SET id = 10 WHERE id = 1")
        slow.execute("COMMIT")
        site.sql(f"UPDATE {table} SET a = 1 WHERE id = 2")
        other.execute(f"DELETE FROM {table} WHERE id = 10")
        other.execute("COMMIT")
        stream.events(8)
        told = [(block.id, block.name, block.json) for block in stream.blocks if block.fires]
    everything = Counter((name, str(data)) for _, name, data in told)
    for at, (last_id, _, _) in enumerate(told):
        if at == len(told) - 1:
            break
        with site.follow(table, last_id=last_id) as stream:
            resumed = stream.told(len(told) - 1 - at)
        before = Counter((name, str(data)) for _, name, data in told[: at + 1])
        assert before + Counter((name, str(data)) for name, data in resumed) == everything
        ten = [name for name, data in resumed if (data.get("row") or data["old"])["id"] == 10]
        assert ten == ["insert", "delete"][2 - len(ten) :]


def test_a_cursor_that_was_pruned_past_is_reset(site):
    table = site.table(rows="(1, 'x')")
    cursor = _cursor(site, table)
    site.sql(f"INSERT INTO {table} VALUES (2, 'y')")
    site.prune()
    with site.follow(table, last_id=cursor) as stream:
        assert _is_reset(stream, "pruned") == [{"id": 1, "a": "x"}, {"id": 2, "a": "y"}]
        # and goes on
        site.sql(f"INSERT INTO {table} VALUES (3, 'z')")
        assert stream.event("insert").json["row"]["id"] == 3
    answer = site.get(f"/tables/{table}/changes", after=cursor)
    assert (answer.status, "pruned" in answer.problem["reason"]) == (410, True)


def test_a_cursor_that_saw_all_that_was_pruned_is_still_valid(site):
    table = site.table(rows="(1, 'x')")
    site.sql(f"INSERT INTO {table} VALUES (2, 'y')")
    cursor = _cursor(site, table)
    site.prune()
    site.sql(f"INSERT INTO {table} VALUES (3, 'z')")
    with site.follow(table, last_id=cursor) as stream:
        assert stream.event("insert").json["row"]["id"] == 3


def test_pruning_loses_nothing_of_a_transaction_that_was_open_meanwhile(site):
    table = site.table()
    with site.session() as slow:
        slow.execute(f"INSERT INTO {table} VALUES (1, 'slow')")
        site.sql(f"INSERT INTO {table} VALUES (2, 'fast')")
        cursor = _cursor(site, table)
        site.prune()
        slow.execute("COMMIT")
    with site.follow(table, last_id=cursor) as stream:
        assert stream.event("insert").json["row"]["id"] == 1


def test_a_cursor_of_another_filter_or_table_is_reset(site):
    table, other = site.table(rows="(1, 'x')"), site.table()
    cursor = _cursor(site, table, a="neq.y")
    for path, query in ((table, {}), (table, {"a": "neq.z"}), (table, {"a": "neq.y", "columns": "id"}), (other, {})):
        with site.follow(path, last_id=cursor, **query) as stream:
            _is_reset(stream, "another table or filter")
        answer = site.get(f"/tables/{path}/changes", after=cursor, **query)
        assert (answer.status, answer.problem["reason"]) == (410, "the cursor belongs to another table or filter")


def test_order_limit_and_spelling_are_no_part_of_what_a_cursor_belongs_to(site):
    table = site.table("id int PRIMARY KEY, n numeric")
    cursor = _cursor(site, table, n="eq.1.50", id="gte.1")
    site.sql(f"INSERT INTO {table} VALUES (1, 1.5)")
    asked = {"id": "gte.+1", "n": "eq.1.5", "order": "n.desc", "limit": 5, "every": 2, "wait": 1}
    with site.follow(f"public.{table}", last_id=cursor, **asked) as stream:
        assert stream.event().name == "insert"


def test_a_cursor_of_a_table_that_was_watched_anew_is_reset(site):
    table = site.table(rows="(1, 'x')")
    cursor = _cursor(site, table)
    site.sql(f"SELECT sseapp.unwatch('{table}')")
    site.sql(f"UPDATE {table} SET a = 'unseen'")
    site.watch(table)
    with site.follow(table, last_id=cursor) as stream:
        assert _is_reset(stream, "") == [{"id": 1, "a": "unseen"}]


def test_a_change_of_shape_in_between_is_a_reset(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table) as stream:
        stream.event("snapshot")
        site.sql(f"INSERT INTO {table} VALUES (2, 'y'), (3, 'z')")
        second = stream.event("insert").id
    site.sql(f"ALTER TABLE {table} ADD b int")
    site.shapes_told()
    with site.follow(table, last_id=second) as stream:
        assert len(_is_reset(stream, "changed")) == 3


def _forged(cursor, **changes):
    """The cursor with parts of it replaced, its check put right."""
    found, scope = decode(cursor)
    scope = Scope(changes.pop("epoch", scope.epoch), scope.query)
    values = {"upto": found.upto, "event_number": found.event_number, "after": found.after}
    return encode(Cursor(**values | changes), scope)


def test_a_cursor_of_another_database_is_reset(site):
    table = site.table()
    forged = _forged(_cursor(site, table), epoch="AAAAAA")
    with site.follow(table, last_id=forged) as stream:
        _is_reset(stream, "another log")
    assert "another log" in site.get(f"/tables/{table}/changes", after=forged).problem["reason"]


def test_a_cursor_from_the_future_is_reset(site):
    table = site.table()
    xmax = decode(_cursor(site, table))[0].upto.xmax
    for future in (Snapshot(xmax + 1_000_000), Snapshot(2**62), Snapshot(xmax + 10, (xmax + 5,))):
        forged = _forged(_cursor(site, table), upto=future)
        with site.follow(table, last_id=forged) as stream:
            _is_reset(stream, "future")
        assert "future" in site.get(f"/tables/{table}/changes", after=forged).problem["reason"]


def test_a_cursor_whose_last_transaction_is_lost_is_reset(site):
    """With synchronous_commit=off a crash undoes commits that clients have seen."""
    table = site.table(rows="(1, 'x')")
    with site.follow(table) as stream:
        stream.event("snapshot")
        site.sql(f"INSERT INTO {table} VALUES (2, 'lost')")
        seen = stream.event("insert")
    site.sql("DELETE FROM sseapp.change WHERE xid = %s::xid8", seen.json["xid"])
    site.sql(f"INSERT INTO {site.table()} VALUES (1)")
    with site.follow(table, last_id=seen.id) as stream:
        _is_reset(stream, "lost")


@pytest.mark.parametrize(
    "garbage", ["x", "0", "a" * 3000, "\xe9", "%00", "' OR 1=1 --", "aaaaaaaaaaaaa!aa", "~!~", " "]
)
def test_a_last_event_id_that_is_no_cursor_of_ours_is_reset(newest, garbled, garbage):
    with newest.follow(garbled, last_id=garbage) as stream:
        if garbage == " ":  # no header at all, to HTTP
            assert stream.event().name == "snapshot"
        else:
            _is_reset(stream, "not a cursor of this server")


def test_a_cursor_that_was_tampered_with_is_none_of_ours(newest, garbled):
    cursor = _cursor(newest, garbled)
    for at in range(len(cursor)):
        tampered = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
        with newest.follow(garbled, last_id=tampered) as stream:
            _is_reset(stream, "")
        assert newest.get(f"/tables/{garbled}/changes", after=tampered).status in (400, 410)


@pytest.fixture(scope="module")
def garbled(newest):
    return newest.table(rows="(1, 'x')")


def test_a_last_event_id_wins_over_after(site):
    table = site.table()
    early = _cursor(site, table)
    site.sql(f"INSERT INTO {table} VALUES (1, 'x')")
    late = _cursor(site, table)
    site.sql(f"INSERT INTO {table} VALUES (2, 'y')")
    with site.follow(table, last_id=late, after=early) as stream:
        assert stream.event("insert").json["row"]["id"] == 2
    with site.follow(table, last_id=early, after=late) as stream:
        assert stream.event("insert").json["row"]["id"] == 1
    # an empty one is what a browser has that saw no id yet
    with site.follow(table, last_id="", after=late) as stream:
        assert stream.event("insert").json["row"]["id"] == 2
    with site.follow(table, last_id="garbage", after=late) as stream:
        _is_reset(stream, "not a cursor of this server")


def test_however_much_was_missed_it_is_told(newest):
    table = newest.table("id int PRIMARY KEY")
    cursor = _cursor(newest, table)
    newest.sql(f"INSERT INTO {table} SELECT generate_series(1, 10001)")
    newest.sql(f"DELETE FROM {table} WHERE id > 1")
    with newest.follow(table, last_id=cursor) as stream:
        told = stream.events(20001)
    assert [block.json["row"]["id"] for block in told[:10001]] == list(range(1, 10002))
    assert {block.name for block in told[10001:]} == {"delete"}
    # a cut anywhere goes on from there
    for cut in (0, 1999, 2000, 10000, 15000):
        with newest.follow(table, last_id=told[cut].id) as stream:
            rest = stream.events(20000 - cut)
        assert [block.json for block in rest] == [block.json for block in told[cut + 1 :]]


def test_the_id_of_a_result_is_a_cursor_of_its_query(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table, "rows") as stream:
        last_id = stream.event("rows").id
    site.sql(f"INSERT INTO {table} VALUES (2, 'y')")
    with site.follow(table, last_id=last_id) as stream:
        assert stream.event("insert").json["row"]["id"] == 2
    # a stream of results needs none: it tells all at once
    with site.follow(table, "rows", last_id=last_id) as stream:
        # at first it may be one that is shared with streams that are still there
        stream.until(lambda block: block.fires and len(block.json["rows"]) == 2)
