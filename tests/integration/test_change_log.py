"""Reading the log by snapshots: each change once, in order, whatever commits when."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
from harness.clusters import wait_until
from harness.watching import Ground, Site

from sseapp.errors import CursorGoneError, NotInstalledError
from sseapp.log.cursor import Cursor, Snapshot
from sseapp.postgres import change_log, schema
from sseapp.postgres.change_log import ChangeLog
from sseapp.postgres.database import Connection, Database


class Log:
    """The log through a listener's eyes, of one watched table."""

    def __init__(self, site):
        self.site = site
        self.connection = Connection(site.dsn)
        site.run("CREATE TABLE t (id int PRIMARY KEY, a text)")
        self.watch = site.watch("t")
        self.cursor = Cursor(change_log.log_end(self.connection).upto)
        self.sent = change_log.log_end(self.connection).greatest_id

    def read(self, batch=1000, **options):
        """The next batch, and the cursor moved past it."""
        found = ChangeLog(self.connection).read(self.cursor, batch=batch, sent=self.sent, **options)
        whole = found.complete
        self.cursor = Cursor(found.upto) if whole else Cursor.behind(found.changes[-1].id, found.upto, found.after)
        self.sent = max([self.sent, *(change.id for change in found.changes)])
        return found

    def ids(self, **options):
        """The rows of the next batch by their column id."""
        return [int(change.new_members["id"]) for change in self.read(**options).changes]

    def write(self, *ids, session=None):
        statement = f"INSERT INTO t VALUES {', '.join(f'({number})' for number in ids)}"
        if session is None:
            self.site.run(statement)
        else:
            with session.cursor() as cursor:
                cursor.execute(statement)

    def open(self):
        """A session whose transaction the test ends."""
        session = self.site.session()
        session.autocommit = False
        return session


@pytest.fixture
def log(site):
    found = Log(site)
    yield found
    found.connection.close()


def test_a_change_as_it_was_written(log):
    log.write(1)
    log.site.run("UPDATE t SET a = 'x'")
    log.site.run("DELETE FROM t")
    insert, update, delete = log.read().changes
    assert (insert.kind, insert.old, insert.new) == ("i", None, '{"id":1,"a":null}')
    assert (update.kind, update.old, update.new) == ("u", '{"id":1,"a":null}', '{"id":1,"a":"x"}')
    assert (delete.kind, delete.old, delete.new) == ("d", '{"id":1,"a":"x"}', None)
    assert insert.id < update.id < delete.id
    assert insert.xid < update.xid < delete.xid
    assert {change.watch for change in (insert, update, delete)} == {log.watch}


def test_what_was_read_is_not_read_again(log):
    log.write(1)
    assert log.ids() == [1]
    assert log.ids() == []
    log.write(2)
    log.write(3)
    assert log.ids() == [2, 3]


def test_a_slow_transaction_is_read_when_it_commits_though_its_ids_are_lower(log):
    slow = log.open()
    log.write(1, session=slow)
    log.write(2)
    batch = log.read()
    assert [change.new for change in batch.changes] == ['{"id":2,"a":null}']
    assert batch.upto.xip or batch.upto.xmax <= batch.changes[0].xid + 1
    log.write(3)
    assert log.ids() == [3]
    slow.commit()
    batch = log.read()
    assert ([int(c.new_members["id"]) for c in batch.changes], batch.ascending) == ([1], False)
    log.write(4)
    assert log.read().ascending


def test_rolled_back_changes_are_never_read(log):
    gone = log.open()
    log.write(1, session=gone)
    log.write(2)
    assert log.ids() == [2]
    gone.rollback()
    assert log.ids() == []


def test_a_snapshot_is_cut_to_what_the_log_proves(log):
    log.write(1)
    xid = log.read().changes[0].xid
    for _ in range(5):  # handed out, but nothing was logged under them: a crash may hand them out again
        log.site.run("SELECT pg_current_xact_id()")
    assert log.read().upto == Snapshot(xid + 1)
    assert change_log.log_end(log.connection).upto == Snapshot(xid + 1)


def test_a_batch_is_read_in_batchs(log):
    slow = log.open()
    log.write(0, session=slow)
    log.write(1, 2, 3, 4, 5)
    first = log.read(batch=2)
    assert ([c.new_members["id"] for c in first.changes], first.complete) == (["1", "2"], False)
    # what commits now is not of this batch
    slow.commit()
    log.write(6)
    second = log.read(batch=2)
    assert ([c.new_members["id"] for c in second.changes], second.complete, second.upto) == (
        ["3", "4"],
        False,
        first.upto,
    )
    third = log.read(batch=2)
    assert ([c.new_members["id"] for c in third.changes], third.complete) == (["5"], True)
    assert log.ids() == [0, 6]


def test_a_piece_tells_which_transactions_go_on_behind_it(log):
    other = log.open()
    log.write(0, session=other)
    log.write(1, 2)
    log.write(3, session=other)
    other.commit()
    first = log.read(batch=1)
    xid = first.changes[0].xid
    assert first.last_ids[xid] > first.changes[-1].id
    second, third = log.read(batch=1), log.read(batch=100)
    assert second.last_ids.keys() <= {second.changes[0].xid}
    assert third.complete
    assert not third.last_ids
    assert first.last_ids[xid] == max(c.id for batch in (second, third) for c in batch.changes if c.xid == xid)


def test_a_pack_counts_as_what_it_holds(log):
    log.write(*range(1, 201))
    first = log.read(batch=40)
    assert not first.complete
    assert 40 <= len(first.changes) < 40 + 32
    assert 64 <= len(log.read(batch=64).changes) < 64 + 32


def test_a_batch_is_bounded_in_bytes_and_holds_one_change_at_least(log):
    noise = "(SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 300) i)"  # does not compress
    log.site.run(f"INSERT INTO t SELECT n, {noise} FROM generate_series(1, 6) n")
    assert len(log.read(size=20_000).changes) in (2, 3, 4)
    assert len(log.read(size=1).changes) == 1
    rest = log.read()
    assert rest.complete
    assert rest.changes[-1].new_members["id"] == "6"


def test_interleaved_transactions_are_read_once_each(log):
    rand, open_, written, read = random.Random(5), [], [], []
    for number in range(150):
        action = rand.random()
        if action < 0.3 and len(open_) < 6:
            session = log.open()
            log.write(number, session=session)
            open_.append((session, [number]))
        elif action < 0.5 and open_:
            session, ids = rand.choice(open_)
            log.write(number, session=session)
            ids.append(number)
        elif action < 0.7 and open_:
            session, ids = open_.pop(rand.randrange(len(open_)))
            if rand.random() < 0.3:
                session.rollback()
            else:
                session.commit()
                written += ids
            session.close()
        else:
            log.write(number)
            written.append(number)
        if rand.random() < 0.4:
            read += log.ids(batch=rand.choice([1, 2, 1000]))
    for session, ids in open_:
        session.commit()
        written += ids
    while found := log.ids(batch=3):
        read += found
    assert sorted(read) == sorted(written)


def _resume(log, cursor, limit=100):
    database = Database(log.site.dsn)
    try:
        return change_log.resume(database, log.watch, cursor, limit=limit)
    finally:
        database.close()


def _rows(replay):
    return [int(change.new_members["id"]) for change in replay.changes]


def test_resuming_takes_the_rest_of_the_batch_first(log):
    start = log.cursor.upto
    slow = log.open()
    log.write(1, session=slow)
    log.write(2, 3, 4)
    batch = log.read()
    slow.commit()
    log.write(5)
    second = 2 * batch.changes[1].id + 1
    for cursor in (Cursor(batch.upto, second, start), Cursor(batch.upto, second)):
        replay = _resume(log, cursor)
        assert replay.reason is None
        assert _rows(replay) == [4, 1, 5]
    assert _rows(_resume(log, Cursor(batch.upto))) == [1, 5]
    assert _rows(_resume(log, Cursor(start))) == [1, 2, 3, 4, 5]
    replay = _resume(log, Cursor(batch.upto, second, start), limit=2)
    assert (_rows(replay), replay.more) == ([4, 1], True)


def test_resuming_fetches_no_more_than_was_asked_for(log, monkeypatch):
    """And one, which tells that there is more: however much was missed, no more of it comes into memory."""
    start, fetched = log.cursor, []
    log.write(*range(1, 51))
    database = Database(log.site.dsn)
    query = database.query
    monkeypatch.setattr(database, "query", lambda *arguments: fetched.append(query(*arguments)) or fetched[-1])
    assert change_log.resume(database, log.watch, start, limit=5).more
    database.close()
    assert len(fetched[0]) == 7, "five rows, between where the log stands and that there is more"


def _resumed(log, cursor, limit):
    """All that is missed, so many at a time."""
    missed, more = [], True
    while more:
        replay = _resume(log, cursor, limit=limit)
        more = replay.more
        assert len(replay.changes) == limit or not more
        missed += _rows(replay)
        last = replay.changes[-1]
        if cursor.upto.sees(last.xid):
            cursor = replace(cursor, event_number=2 * last.id + 1)
        else:
            cursor = Cursor(replay.upto, 2 * last.id + 1, cursor.upto)
    return missed


@pytest.mark.parametrize("seen", [1, 32, 33, 60, 99])
def test_a_pack_is_resumed_within(log, seen):
    """Wherever the line was cut, each change comes once; what was seen of a pack does not count."""
    log.write(*range(1, 101))
    batch = log.read()
    assert [int(change.new_members["id"]) for change in batch.changes] == list(range(1, 101))
    log.write(*range(101, 141))
    place = 2 * batch.changes[seen - 1].id
    assert _resumed(log, Cursor(batch.upto, place + 1), 7) == list(range(seen + 1, 141))
    assert _resumed(log, Cursor(batch.upto, place, Snapshot(1)), 7) == list(range(seen, 141)), "half of it was seen"


def test_resuming_reads_one_watch_alone(log):
    start = log.cursor
    log.site.run("CREATE TABLE other (id int PRIMARY KEY)")
    log.site.watch("other")
    log.site.run("INSERT INTO other VALUES (7)")
    log.write(1)
    replay = _resume(log, start)
    assert _rows(replay) == [1]
    assert replay.upto.contains(start.upto)


def test_why_a_cursor_no_longer_serves(log):
    log.write(1)
    log.read()
    seen = log.cursor
    assert ChangeLog(log.connection).expiry(seen) is None
    future = Cursor(Snapshot(seen.upto.xmax + 1000))
    assert "future" in ChangeLog(log.connection).expiry(future)
    log.site.run("DELETE FROM sseapp.change WHERE xid = %s::xid8", [str(seen.upto.greatest)])
    log.write(2)
    assert "lost" in ChangeLog(log.connection).expiry(seen)


@pytest.fixture
def own_log(dsn):
    """A log that may be pruned: none but this test reads it."""
    with closing(Connection(dsn)) as connection:
        schema.install(connection)
    with closing(Ground(dsn)) as ground:
        site = Site(ground, "own")
        found = Log(site)
        yield found
        found.connection.close()
        site.close()


def _prune(log):
    while log.connection.query("SELECT sseapp.prune('0 s')") != [(0,)]:
        pass


def test_a_cursor_within_a_pack_that_was_pruned_no_longer_serves(own_log):
    log = own_log
    log.write(*range(1, 101))
    batch = log.read()
    _prune(log)
    last = batch.changes[-1]
    assert last.id % 32 != 1, "the last row is a pack"
    for change in batch.changes[-3:]:
        assert "pruned" in ChangeLog(log.connection).expiry(Cursor(batch.upto, 2 * change.id, Snapshot(1)))
    log.write(101)
    assert ChangeLog(log.connection).expiry(log.cursor) is None
    assert log.ids() == [101]


def test_a_reader_that_was_overtaken_by_the_pruner_is_told(own_log):
    log = own_log
    log.write(1, 2, 3)
    log.read(batch=1)
    within = log.cursor
    log.write(4)
    _prune(log)
    with pytest.raises(CursorGoneError, match="pruned"):
        log.read()
    assert "pruned" in ChangeLog(log.connection).expiry(within)
    assert "pruned" in _resume(log, within).reason


def test_pruning_goes_in_small_steps_of_which_the_first_moves_the_horizon(own_log):
    """A cursor that lacks a part of what is pruned may not be served the other part."""
    log = own_log
    start = log.cursor
    log.write(1, 2, 3, 4, 5)
    read, pruned = f"SELECT count(*) FROM sseapp.change WHERE watch = {log.watch} AND kind = 'i'", []
    assert log.connection.query("SELECT sseapp.prune('0 s', step => 2)") == [(2,)]
    # the watch's own row went first
    assert log.connection.query(read) == [(4,)]
    assert "pruned" in ChangeLog(log.connection).expiry(start)
    while (step := log.connection.query("SELECT sseapp.prune('0 s', step => 2)")[0][0]) > 0:
        pruned.append(step)
    assert pruned == [2, 2]


def test_the_size_is_that_of_narrow_rows_and_of_wide_ones(own_log):
    log = own_log
    log.site.run("DO $$ BEGIN FOR n IN 1..2000 LOOP INSERT INTO t VALUES (n); END LOOP; END $$")
    log.site.run("INSERT INTO t SELECT n, repeat(md5(n::text), 10) FROM generate_series(3001, 6000) n")
    ((size,),) = log.connection.query("SELECT sum(pg_column_size(c.*))::bigint FROM sseapp.change c")
    assert log.connection.query(f"SELECT sseapp.prune('1 hour', {int(size * 1.3)})") == [(0,)]
    assert log.connection.query(f"SELECT sseapp.prune('1 hour', {int(size * 0.7)})")[0][0] > 0
    assert log.connection.query("SELECT sseapp.prune('1 hour', 9223372036854775807)") == [(0,)]


def test_what_commits_after_a_mark_is_not_pruned_with_it(own_log):
    """Whatever its id: the horizon is what had committed then, and the rows of a long transaction have low ids."""
    log = own_log
    slow = log.open()
    log.write(1, session=slow)
    log.write(2)
    assert log.ids() == [2]
    log.connection.query("SELECT sseapp.mark_position('0 s')")
    log.connection.query("UPDATE sseapp.mark SET at = at - interval '1 hour'")
    slow.commit()
    while log.connection.query("SELECT sseapp.prune('10 min')") != [(0,)]:
        pass
    assert log.connection.query("SELECT new::json ->> 'id' FROM sseapp.change") == [("1",)]
    assert log.ids() == [1]


def _pages(log, statement):
    """How many pages a statement goes over."""
    ((found,),) = log.connection.query(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}")
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def _fill(log, rows):
    """Four rows a page."""
    log.connection.query(
        f"INSERT INTO sseapp.change (watch, kind, new) SELECT 0, 'i', repeat('x', 1700) FROM generate_series(1, {rows})"
    )


@pytest.fixture
def old(own_log):
    """A transaction that might see all that was pruned since, so that it stays where it is."""
    with closing(own_log.open()) as session, session.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t")
        yield


@pytest.mark.usefixtures("old")
def test_no_one_walks_over_what_was_pruned(own_log):
    log = own_log
    _fill(log, 4000)
    _prune(log)
    assert log.connection.query("SELECT pg_relation_size('sseapp.change') / 8192 > 900") == [(True,)]
    assert _pages(log, "SELECT sseapp.greatest_xid()") < 50
    assert _pages(log, "SELECT sseapp.mark_position('0 s')") < 100
    log.write(1)
    assert _pages(log, "SELECT sseapp.prune('1 hour')") < 500
    assert _pages(log, "SELECT sseapp.prune('0 s')") < 500
    assert log.connection.query("SELECT count(*) FROM sseapp.change") == [(0,)]


@pytest.mark.usefixtures("old")
def test_each_step_goes_on_where_the_last_one_ended(own_log):
    """In the midst of a transaction too."""
    _fill(own_log, 4000)
    _, *pages = [_pages(own_log, "SELECT sseapp.prune('0 s', step => 200)") for _ in range(15)]
    assert max(pages) < 700


def _prune_strictly(log, retention, step):
    """A step that takes only what its horizon sees, and where it is the last one all of that; how much is kept then."""
    before = dict(log.connection.query("SELECT id, xid::text FROM sseapp.change"))
    ((count,),) = log.connection.query(f"SELECT sseapp.prune('{retention}', step => {step})")
    after = dict(log.connection.query("SELECT id, xid::text FROM sseapp.change"))
    ((text,),) = log.connection.query("SELECT horizon::text FROM sseapp.state")
    horizon = Snapshot.parse(text)
    gone = [int(before[number]) for number in before.keys() - after.keys()]
    assert len(gone) == count
    assert all(horizon.sees(xid) for xid in gone)
    if count < step:
        assert not any(horizon.sees(int(xid)) for xid in after.values())
        return len(after)
    return None


def test_what_is_pruned_is_what_the_horizon_sees(own_log):
    """Whatever commits late, in steps of any size, some of them cut short or undone."""
    log, choose = own_log, random.Random(7)
    sessions, numbers, kept = [log.open() for _ in range(4)], iter(range(1, 10_000)), []

    def write():
        session = choose.choice([*sessions, None])
        for _ in range(choose.randint(1, 4)):
            log.write(next(numbers), session=session)

    def prune():
        kept.append(_prune_strictly(log, f"{choose.choice([10, 90])} min", choose.choice([1, 2, 3, 5, 100])))

    def prune_in_vain():
        with closing(log.open()) as session, session.cursor() as cursor:
            cursor.execute("SELECT sseapp.prune('10 min', step => 3)")
            session.rollback()

    actions = {
        write: 3,
        lambda: choose.choice(sessions).commit(): 1,
        lambda: choose.choice(sessions).rollback(): 0.3,
        lambda: log.connection.query("SELECT sseapp.mark_position('0 s')"): 1,
        lambda: log.connection.query("UPDATE sseapp.mark SET at = at - interval '1 hour'"): 1,
        prune: 3,
        prune_in_vain: 0.3,
    }
    for action in choose.choices([*actions], [*actions.values()], k=500):
        action()
    ends = [count for count in kept if count is not None]
    assert len(kept) > len(ends) > 50
    assert max(ends) > 10
    for session in sessions:
        session.commit()
    _prune(log)
    assert log.connection.query("SELECT count(*) FROM sseapp.change") == [(0,)]


def test_steps_that_were_cut_short_are_taken_up_by_another_with_a_longer_retention(own_log):
    """Whoever lacks what the horizon sees was told so: the rest is of no use."""
    log = own_log
    log.write(1)
    log.write(2)
    log.connection.query("SELECT sseapp.prune('0 s', step => 1)")
    log.write(3)
    assert log.connection.query("SELECT sseapp.prune('1 hour')") == [(2,)]
    assert log.connection.query("SELECT new::json ->> 'id' FROM sseapp.change") == [("3",)]


def test_what_was_due_before_an_update_is_pruned_after_it(own_log):
    """Until then it was not noted how far the log was pruned."""
    log = own_log
    slow = log.open()
    log.write(1, session=slow)
    log.write(2)
    log.connection.query(
        "SELECT sseapp.prune('0 s', step => 1); DROP TABLE sseapp.pruned; UPDATE sseapp.state SET digest = 'older'"
    )
    slow.commit()
    schema.install(log.connection)
    assert log.connection.query("SELECT sseapp.prune('1 hour')") == [(1,)]
    assert log.connection.query("SELECT new::json ->> 'id' FROM sseapp.change") == [("1",)]
    _prune(log)
    assert log.connection.query("SELECT count(*) FROM sseapp.change") == [(0,)]


def test_a_reader_that_is_up_to_date_is_not_troubled_by_pruning(own_log):
    log = own_log
    slow = log.open()
    log.write(1, session=slow)
    log.write(2)
    assert log.ids() == [2]
    _prune(log)
    assert ChangeLog(log.connection).expiry(log.cursor) is None
    assert log.ids() == []
    slow.commit()
    assert log.ids() == [1]


def test_the_epoch_is_that_of_the_log(own_log):
    one = change_log.log_end(own_log.connection).epoch
    assert change_log.log_end(own_log.connection).epoch == one
    own_log.site.run("UPDATE sseapp.state SET born = gen_random_uuid()")
    assert change_log.log_end(own_log.connection).epoch != one


def test_where_nothing_is_installed_it_says_so(dsn):
    with closing(Connection(dsn)) as connection, pytest.raises(NotInstalledError):
        change_log.log_end(connection)


@pytest.mark.parametrize("unlogged", [True, False])
def test_a_read_that_waits_for_the_log_to_be_rewritten_reads_nothing_again(log, unlogged):
    """To a snapshot of before, a rewritten table is empty."""
    log.site.run(f"SELECT sseapp.set_unlogged({not unlogged})")
    log.write(1)
    log.read()
    with closing(log.open()) as session, session.cursor() as cursor, ThreadPoolExecutor(1) as beside:
        cursor.execute("INSERT INTO t VALUES (2)")
        cursor.execute("SELECT sseapp.set_unlogged(%s)", (unlogged,))
        read = beside.submit(log.ids)
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%sseapp.read(%'"
        wait_until(lambda: log.site.value(waits) == 1, what="the read to wait")
        session.commit()
        assert read.result() == [2]
    assert log.ids() == []


def test_a_log_that_was_emptied_by_hand_ends_the_cursor(log):
    log.write(1)
    log.read()
    log.site.run("TRUNCATE sseapp.change")
    with pytest.raises(CursorGoneError, match="lost"):
        log.read()


def test_bytes_are_those_of_the_texts_as_they_are_read(log):
    """However well they are compressed in the log: what counts is memory."""
    start = log.cursor
    log.site.run("INSERT INTO t SELECT n, repeat('x', 100000) FROM generate_series(1, 40) n")
    ((stored,),) = log.connection.query("SELECT sum(pg_column_size(new))::int FROM sseapp.change")
    assert stored < 200_000
    sizes = []
    for _ in range(40):
        sizes.append(len(log.read(size=1_000_000).changes))
        if log.cursor.event_number is None:
            break
    assert (sum(sizes), max(sizes)) == (40, 10)
    database = Database(log.site.dsn)
    replay = change_log.resume(database, log.watch, start, limit=1000, size=1_000_000)
    database.close()
    assert (len(replay.changes), replay.more) == (10, True)


def test_a_change_can_be_passed_over(log):
    log.write(1, 2, 3)
    start = log.cursor
    passed = ChangeLog(log.connection).pass_over(start, "for a test")
    assert [(change.kind, change.damage) for change in passed.changes] == [("r", "for a test")]
    assert not passed.complete
    behind = Cursor.behind(passed.changes[-1].id, passed.upto, passed.after)
    rest = ChangeLog(log.connection).read(behind, batch=9, sent=0)
    assert [int(change.new_members["id"]) for change in rest.changes] == [2, 3]
    assert rest.complete
    at_end = ChangeLog(log.connection).pass_over(Cursor(rest.upto), "for a test")
    assert (at_end.changes, at_end.complete) == ((), True)
