"""The long poll: /tables/<table>/changes as JSON."""

from __future__ import annotations

import re
import threading
import time

from harness.clusters import wait_until
from harness.sse import Wire, request


def _told(answer):
    return [(change["event"], (change["row"] or change["old"] or {}).get("id")) for change in answer["changes"]]


def test_without_after_it_answers_at_once_with_the_cursor_of_now(site):
    table = site.table(rows="(1, 'x')")
    began = time.monotonic()
    answer = site.get(f"/tables/{table}/changes")
    assert time.monotonic() - began < 5
    assert re.fullmatch(rf'{{"table":"public\.{table}","changes":\[\],"cursor":"[\w~!.-]+"}}\n', answer.body.decode())


def test_the_members_of_a_change(site):
    table = site.table(rows="(1, 'x')")
    cursor = site.changes(table)["cursor"]
    site.sql(f"UPDATE {table} SET a = 'y'; UPDATE {table} SET id = 2; TRUNCATE {table}")
    body = site.get(f"/tables/{table}/changes", after=cursor).body.decode()
    change = r'{{"event":"{}","row":{},"old":{},"at":"[0-9T:.+-]+","xid":"\d+"}}'
    x, y, z = ('{{"id":{},"a":"{}"}}'.format(*row) for row in ((1, "x"), (1, "y"), (2, "y")))
    expected = ",".join(
        [
            change.format("update", re.escape(y), re.escape(x)),
            change.format("delete", "null", re.escape(y)),
            change.format("insert", re.escape(z), "null"),
            change.format("truncate", "null", "null").removesuffix("}") + ',"end":true}',
        ]
    )
    assert re.fullmatch(rf'{{"table":"public\.{table}","changes":\[{expected}\],"cursor":"[\w~!.-]+"}}\n', body), body


def test_it_waits_for_the_first_change(site):
    table = site.table()
    cursor = site.changes(table)["cursor"]
    answers = []
    poll = threading.Thread(target=lambda: answers.append(site.changes(table, after=cursor, wait=8)))
    poll.start()
    wait_until(lambda: site.metric("channels") > 0, what="the poll to wait")
    assert not answers
    site.sql(f"INSERT INTO {table} VALUES (1, 'x')")
    poll.join(8)
    assert _told(answers[0]) == [("insert", 1)]


def test_it_waits_no_longer_than_it_was_asked_to(site):
    table = site.table()
    cursor = site.changes(table)["cursor"]
    began = time.monotonic()
    answer = site.changes(table, after=cursor, wait="500ms")
    assert 0.4 < time.monotonic() - began < 5
    assert answer["changes"] == []
    assert site.changes(table, after=answer["cursor"], wait=0)["changes"] == []


def test_changes_that_the_filter_leaves_out_do_not_end_the_wait(site):
    table = site.table("id int PRIMARY KEY, n int")
    cursor = site.changes(table, n="gt.10")["cursor"]
    site.sql(f"INSERT INTO {table} VALUES (1, 1), (2, 20)")
    answer = site.changes(table, n="gt.10", after=cursor)
    assert _told(answer) == [("insert", 2)]
    site.sql(f"INSERT INTO {table} VALUES (3, 3)")
    answer = site.changes(table, n="gt.10", after=answer["cursor"], wait="300ms")
    assert answer["changes"] == []


def test_one_poll_after_the_other_tells_each_change_once(site):
    table = site.table()
    cursor = site.changes(table)["cursor"]
    found = []
    with site.session() as slow:
        slow.execute(f"INSERT INTO {table} VALUES (0, 'begun first')")
        for number in range(1, 6):
            site.sql(f"INSERT INTO {table} VALUES ({number})")
            answer = site.changes(table, after=cursor, wait=5)
            found += _told(answer)
            cursor = answer["cursor"]
        slow.execute("COMMIT")
    found += _told(site.changes(table, after=cursor, wait=5))
    assert found == [("insert", number) for number in (1, 2, 3, 4, 5, 0)]


def test_limit_pages_through_what_was_missed(site):
    table = site.table()
    cursor = site.changes(table)["cursor"]
    site.sql(f"INSERT INTO {table} SELECT generate_series(1, 5)")
    site.sql(f"UPDATE {table} SET id = 10 WHERE id = 5")
    site.sql(f"INSERT INTO {table} SELECT generate_series(6, 8)")
    found, pages = [], 0
    while len(found) < 10:
        answer = site.changes(table, after=cursor, limit=2, wait=0)
        assert answer["changes"], found
        assert len(answer["changes"]) <= 3  # a changed key is two changes, and one row of the log
        found += _told(answer)
        cursor = answer["cursor"]
        pages += 1
    assert found == [
        *(("insert", number) for number in range(1, 6)),
        ("delete", 5),
        ("insert", 10),
        *(("insert", number) for number in range(6, 9)),
    ]
    assert pages == 5
    assert site.changes(table, after=cursor, wait=0)["changes"] == []


def test_a_page_that_ends_within_a_batch_resumes_on_a_stream(site):
    table = site.table()
    cursor = site.changes(table)["cursor"]
    site.sql(f"INSERT INTO {table} SELECT generate_series(1, 5)")
    answer = site.changes(table, after=cursor, limit=3)
    with site.follow(table, after=answer["cursor"]) as stream:
        assert [data["row"]["id"] for _, data in stream.told(2)] == [4, 5]


def test_a_streams_id_is_a_cursor_of_the_poll(site):
    table = site.table()
    with site.follow(table) as stream:
        stream.event("snapshot")
        site.sql(f"INSERT INTO {table} VALUES (1), (2), (3)")
        second = stream.events(2)[-1].id
    assert _told(site.changes(table, after=second)) == [("insert", 3)]


def test_columns_and_order_of_columns(site):
    table = site.table("id int PRIMARY KEY, a text, b text", rows="(1, 'x', 'y')")
    cursor = site.changes(table, columns="b")["cursor"]
    site.sql(f"UPDATE {table} SET a = 'p'; UPDATE {table} SET b = 'q'")
    (change,) = site.changes(table, columns="b", after=cursor)["changes"]
    assert (change["row"], change["old"]) == ({"id": 1, "b": "q"}, {"id": 1, "b": "y"})


def test_a_poll_that_waits_is_gone_when_the_table_is_unwatched(site):
    table = site.table()
    cursor = site.changes(table)["cursor"]
    answers = []
    poll = threading.Thread(target=lambda: answers.append(site.get(f"/tables/{table}/changes", after=cursor, wait=8)))
    poll.start()
    wait_until(lambda: site.metric("channels") > 0, what="the poll to wait")
    site.sql(f"SELECT sseapp.unwatch('{table}')")
    poll.join(8)
    assert answers[0].status == 410
    assert answers[0].problem["reason"]


def test_a_client_that_stopped_waiting_frees_its_slot(newest):
    table = newest.table()
    after = newest.changes(table)["cursor"]
    target = f"/tables/{table}/changes?wait=60&after={after}"
    polls = [Wire(newest.host.address, request("GET", target, [("Host", "localhost")], close=True)) for _ in range(3)]
    newest.settled(3)
    for poll in polls[1:]:
        poll.close()
    newest.settled(1)
    newest.sql(f"INSERT INTO {table} VALUES (1, 'x')")
    assert polls[0].head()[0] == 200
    polls[0].close()


def test_polls_leave_no_channel_behind(newest):
    table = newest.table()
    newest.changes(table, after=newest.changes(table)["cursor"], wait=0)
    wait_until(lambda: newest.metric("channels") == 0, what="the end of the channels")
