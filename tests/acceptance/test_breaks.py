"""Each rule of the cursor, with the interleaving that needs it: without the rule the interleaving fails.

Everything is real but the moment: the test says who commits, who reads and whose line breaks, and when.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache

import pytest
from harness.exactly_once.bench import Bench, write

from sseapp.delivery import changes_stream
from sseapp.events import ring
from sseapp.live import replay
from sseapp.log.change import Batch, Change
from sseapp.log.cursor import Snapshot
from sseapp.postgres import change_log, snapshot_rows, statements

PAIRS = []


def needed_by(interleaving):
    """What follows takes a rule out, and ``interleaving`` shows that it is missing."""

    def register(taken_out):
        PAIRS.append((interleaving, taken_out))
        return taken_out

    return register


def a_slow_transaction(bench, _):
    """A transaction that wrote first and commits last."""
    client = bench.client()
    client.hear()
    slow = bench.session()
    write(slow, 1)
    bench.insert(2)
    bench.read()
    client.hear()
    slow.commit()
    bench.insert(3)
    bench.read()
    bench.check(client.hear(), {1, 2, 3})


@needed_by(a_slow_transaction)
def the_cursor_is_the_last_id(monkeypatch):
    def read(log, cursor, *, sent, **_):
        ((snapshot_text,),) = log._connection.query("SELECT pg_current_snapshot()::text")
        rows = log._connection.query(
            "SELECT id, xid::text, watch, kind::text, old, new, at::text, reason"
            " FROM sseapp.change WHERE id > %s ORDER BY id",
            (sent,),
        )
        changes = tuple(Change(row[0], int(row[1]), *row[2:]) for row in rows)
        return Batch(cursor.upto, Snapshot.parse(snapshot_text), changes)

    monkeypatch.setattr(change_log.ChangeLog, "read", read)


_XIP = {"%(xip)s": "'{}'", "%(upto)s::pg_snapshot": "regexp_replace(%(upto)s, ':[^:]*$', ':')::pg_snapshot"}


def _without_xip(monkeypatch, *names):
    queries = dict(statements.named("log"))
    for name in names:
        assert any(text in queries[name] for text in _XIP), name
        for text, without in _XIP.items():
            queries[name] = queries[name].replace(text, without)
    monkeypatch.setattr(change_log, "_named", queries.__getitem__)


@needed_by(a_slow_transaction)
def the_listener_reads_without_the_xip_clause(monkeypatch):
    _without_xip(monkeypatch, "read_first")


@needed_by(a_slow_transaction)
def a_client_resumes_without_the_xip_clause(monkeypatch):
    _without_xip(monkeypatch, "resume")


def _commit_behind(bench, monkeypatch, module, name):
    """A change is committed, read and sent immediately after the read by ``module.name``."""
    read = getattr(module, name)

    def read_and_lose_time(*args, **kwargs):
        found = read(*args, **kwargs)
        if not done:
            done.append(bench.insert(5))
            bench.read()
        return found

    done = []
    monkeypatch.setattr(module, name, read_and_lose_time)


def a_change_behind_the_first_snapshot(bench, monkeypatch):
    bench.client().hear()
    bench.insert(4)
    _commit_behind(bench, monkeypatch, snapshot_rows.Pages, "__init__")
    bench.check(bench.client().hear(), {4, 5})


def a_change_behind_a_resume(bench, monkeypatch):
    client = bench.client()
    client.hear()
    bench.insert(4)
    _commit_behind(bench, monkeypatch, replay, "missed")
    bench.check(bench.client(client.heard.last_id).hear(), {4, 5})


def a_change_behind_the_position_of_now(bench, monkeypatch):
    bench.client().hear()
    bench.insert(4)
    _commit_behind(bench, monkeypatch, change_log, "log_end")
    client = bench.client("", ("snapshot", "no"))
    client.hear()
    bench.check(client.hear(), {5})


@needed_by(a_change_behind_the_first_snapshot)
@needed_by(a_change_behind_a_resume)
@needed_by(a_change_behind_the_position_of_now)
def the_rings_end_is_noted_after_the_read(monkeypatch):
    stand = changes_stream.ChangesStream._start_at

    def late(self, _, upto, **has):
        stand(self, self.channel.ring.end, upto, **has)

    monkeypatch.setattr(changes_stream.ChangesStream, "_start_at", late)


def a_joiner_in_the_middle(bench, _):
    """The batch that goes beyond the joiner's snapshot has changes before and after one that it holds already."""
    bench.client().hear()
    early = bench.session()
    write(early, 1)
    bench.insert(2)
    joiner = bench.client()
    joiner.hear()
    write(early, 3)
    early.commit()
    bench.read()
    bench.check(joiner.hear(), {1, 2, 3})


@needed_by(a_joiner_in_the_middle)
def a_joiner_gets_the_rings_ids(monkeypatch):
    def beyond(frame, seen):
        unseen = tuple(event for event in frame.events if not seen.sees(event.xid))
        return frame.raw + frame._encoded(unseen, None if frame.ascending else frame.after)

    monkeypatch.setattr(ring.Frame, "beyond", beyond)


def a_line_that_breaks_within_a_batch(bench, _):
    """A transaction that was in flight at the batch has an id below those of the batch's rest."""
    client = bench.client()
    client.hear()
    slow = bench.session()
    write(slow, 1)
    quick = bench.session()
    write(quick, 2, 3)
    quick.commit()
    bench.read()
    heard = client.hear()
    slow.commit()
    bench.insert(4)
    bench.check(heard, {2, 3}, cuts=0)
    bench.check(bench.heard(heard.upto(1)), {1, 3, 4})


@needed_by(a_line_that_breaks_within_a_batch)
def the_rest_of_a_batch_comes_with_what_is_new(monkeypatch):
    def all_in_order(missed, scope):
        events = tuple(sorted(missed.rest + missed.new, key=lambda event: event.number))
        return ring.encoded(events, scope.ids(missed.upto, missed.cursor.after), (), complete=True)

    monkeypatch.setattr(replay.Missed, "encoded", all_in_order)


@pytest.fixture(scope="module")
def databases():
    """One database a server for all of these tests: making one takes longer than most of them."""
    with ExitStack() as stack:
        yield cache(lambda server: stack.enter_context(server.database()))


@pytest.mark.parametrize("interleaving", dict.fromkeys(interleaving for interleaving, _ in PAIRS))
def test_an_interleaving_loses_and_repeats_nothing(server, databases, monkeypatch, interleaving):
    with Bench(databases(server)) as bench:
        interleaving(bench, monkeypatch)


@pytest.mark.parametrize(("interleaving", "taken_out"), PAIRS)
def test_it_would_without_the_rule(pg18, databases, monkeypatch, interleaving, taken_out):
    taken_out(monkeypatch)
    with Bench(databases(pg18)) as bench, pytest.raises(AssertionError, match=r"^(lost|repeated) \["):
        interleaving(bench, monkeypatch)


def test_a_client_that_missed_nothing_of_its_own_is_told_where_it_stands(pg18, databases):
    """Otherwise its cursor would become too old while the log has nothing new."""
    few = ("id", "lt.10")
    with Bench(databases(pg18)) as bench:
        client = bench.client("", few)
        stored = client.hear().last_id
        client.close()
        bench.insert(50)
        bench.read()
        back = bench.client(stored, few).hear()
        again = bench.client(back.last_id, few).hear()
    assert not back.items
    assert back.last_id not in (stored, "")
    assert again.last_id == back.last_id


@pytest.fixture
def lazy_cluster(own_cluster):
    """A cluster that writes the WAL of a transaction that rolled back only when it must."""
    for setting in ("wal_writer_delay = '10s'", "wal_level = minimal", "max_wal_senders = 0"):
        own_cluster.execute(f"ALTER SYSTEM SET {setting}")
    own_cluster.stop()
    own_cluster.again()
    return own_cluster


def a_crash_behind_rollbacks(server, dsn):
    """The ids of transactions that rolled back are assigned again, and a reader has read in between."""
    with Bench(dsn) as bench:
        client = bench.client()
        client.hear()
        bench.insert(1)
        bench.read()
        client.hear()
        greatest = _roll_back(bench, 20)
        bench.read()
        stored = client.hear().last_id
        server.kill()
        server.again()
        bench.runtime.database.close()
        assert _roll_back(bench, 1) < greatest, "no id was handed out again: this proves nothing"
        bench.insert(*range(2, 40))
        bench.connect()
        bench.read()
        bench.check(client.hear(), set(range(1, 40)), cuts=0)
        bench.check(bench.heard(stored), set(range(2, 40)), cuts=0)


def _roll_back(bench, count):
    """The id of the last of ``count`` transactions."""
    for _ in range(count):
        session = bench.session()
        with session.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text::bigint")
            ((xid,),) = cursor.fetchall()
        session.rollback()
    return xid


def test_a_crash_behind_rollbacks_loses_and_repeats_nothing(lazy_cluster):
    with lazy_cluster.database() as dsn:
        a_crash_behind_rollbacks(lazy_cluster, dsn)


def test_it_would_if_snapshots_were_not_cut_to_the_log(lazy_cluster, monkeypatch):
    monkeypatch.setattr(Snapshot, "cut", lambda snapshot, _: snapshot)
    # an honest reset would hide the loss
    expiry = change_log._expiry
    monkeypatch.setattr(change_log, "_expiry", lambda *args, **_: expiry(*args, there=True))
    with lazy_cluster.database() as dsn, pytest.raises(AssertionError, match=r"^lost \["):
        a_crash_behind_rollbacks(lazy_cluster, dsn)
