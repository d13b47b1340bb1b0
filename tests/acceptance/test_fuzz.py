"""Thousands of generated requests: no 500, no hang, and no part of a request runs as SQL."""

from __future__ import annotations

import io
import json
import re
import socket
import time
from itertools import islice

import psycopg2
import pytest
from harness.clusters import wait_until
from harness.fuzz import COLUMNS, ROWS, Generator

from sseapp import create_app
from sseapp.config import Settings
from sseapp.log.cursor import Cursor, Scope, Snapshot, encode
from sseapp.postgres import schema
from sseapp.postgres.database import Connection

REQUESTS = 3000
DEADLINE = 5.0  # seconds that one answer may take, its stream's first frames included


class Canary:
    """Notices a statement of a request that was run."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg2.connect(dsn)
        self._connection.autocommit = True
        self.sql("CREATE SCHEMA canary")
        self.sql("CREATE TABLE canary.sings (since timestamptz DEFAULT now())")
        self.sql("INSERT INTO canary.sings DEFAULT VALUES")
        # a sequence moves even in a transaction that is read only by its own will or rolled back
        self.sql("CREATE SEQUENCE canary.touched")
        self.sql("CREATE FUNCTION canary.touch() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('canary.touched') $$")
        self.tables = self._tables()

    def sql(self, statement: str) -> list[tuple]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def sings(self) -> None:
        assert self.sql("SELECT count(*) FROM canary.sings") == [(1,)]
        assert self.sql("SELECT is_called FROM canary.touched") == [(False,)]
        assert self._tables() == self.tables

    def _tables(self) -> list[tuple]:
        return self.sql("SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'S') ORDER BY 1")

    def close(self) -> None:
        self._connection.close()


def _prepare(canary: Canary, name: str) -> None:
    canary.sql("CREATE TYPE mood AS ENUM ('sad', 'glad')")
    columns = ", ".join('"{}" {}'.format(name.replace('"', '""'), type_) for name, type_ in COLUMNS.items())
    canary.sql(f"CREATE TABLE {name} ({columns})")
    canary.sql(f"INSERT INTO {name} VALUES {ROWS}")
    canary.sql(f"SELECT sseapp.watch('{name}', 'ts')")
    canary.tables = canary._tables()


@pytest.fixture
def canary(pg18_dsn):
    connection = Connection(pg18_dsn)
    schema.install(connection)
    connection.close()
    found = Canary(pg18_dsn)
    _prepare(found, "things")
    yield found
    found.close()


@pytest.fixture
def app(pg18_dsn, canary):  # noqa: ARG001 - the database must be prepared
    """The application in this process, which spares each request a connection."""
    found = create_app(Settings.from_environ({"DATABASE_URL": pg18_dsn, "SSEAPP_HEARTBEAT": "10ms"}))
    runtime = found.extensions["sseapp"].runtime()
    wait_until(lambda: runtime.listener.error is None, what="the listener")
    yield found
    runtime.close()


def _call(app, path: bytes, query: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    """The answer, of a stream only the first frames."""
    started = []
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path.decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
    } | headers  # fmt: skip
    answer = app(environ, lambda status, headers, _=None: started.append((status, headers)))
    try:
        body = b"".join(islice(answer, 3))
    finally:
        answer.close()
    status, found = started[0]
    return int(status.split()[0]), {name.lower(): value for name, value in found}, body


def _check(status: int, headers: dict[str, str], body: bytes) -> None:
    assert status in (200, 304, 308, 400, 403, 404, 405, 406, 410), (status, body)
    kind = headers.get("content-type", "")
    if kind == "text/event-stream":
        assert body.startswith(b"retry: "), body
        # a comment with words says that the stream cannot be served, and a browser would come back for ever
        assert not re.search(rb"^: ", body, re.MULTILINE), body
    elif "json" in kind:
        json.loads(body)
    if status >= 400:
        assert kind == "application/problem+json", headers


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_no_request_fails_hangs_or_runs_as_sql(app, canary, seed):
    generator = Generator(seed)
    client = app.test_client()
    cursor = client.get("/tables/things/changes").json["cursor"]
    generator.cursors += [cursor, cursor[:-1], encode(Cursor(Snapshot(9)), Scope("AAAAAA", "AAAA"))]
    seen = dict.fromkeys((200, 400, 403, 404, 406), 0)
    for _ in range(REQUESTS // 2):
        request = (generator.path("things"), generator.query(), generator.headers())
        began = time.monotonic()
        try:
            answer = _call(app, *request)
            _check(*answer)
        except Exception as error:
            raise AssertionError(f"{request}") from error
        assert time.monotonic() - began < DEADLINE, request
        seen[answer[0]] = seen.get(answer[0], 0) + 1
    canary.sings()
    # the requests were no mere nonsense
    assert min(seen.values()) > 0, seen
    assert seen[200] > REQUESTS // 20, seen
    runtime = app.extensions["sseapp"].runtime()
    assert runtime.stream_limit.open == 0
    wait_until(lambda: not runtime.hub.streams, what="the end of the streams")


MANGLED = (
    b"GET /tables HTTP/1.1\r\n\r\n",
    b"GET /tables HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n",
    b"GET /tables HTTP/9.9\r\nHost: localhost\r\n\r\n",
    b"GET /tables\r\n\r\n",
    b"GET  /tables HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"get /tables HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET http://evil.example/tables HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /tables\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /tables HTTP/1.1\nHost: localhost\n\n",
    b"GET /tables HTTP/1.1\r\nHost: localhost\r\nA: \0\r\n\r\n",
    b"GET /tables HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n",
    b"GET /tables HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: \xff\xfe\r\n\r\n",
    b"POST /tables HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /tables HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    b"POST /tables HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /tables HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
    b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /tables HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
    b"GET /tables HTTP/1.1\r\nHost: localhost\r\n" + b"A: x\r\n" * 1000 + b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\0" * 1000,
    b"\r\n" * 1000,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)


def _status(address, data: bytes) -> int | None:
    """What the server says to these bytes; ``None`` where it just closes the connection."""
    with socket.create_connection(address, timeout=DEADLINE) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            received = b""
            while b"\r\n" not in received and (more := connection.recv(4096)):
                received += more
        except TimeoutError:
            raise
        except OSError:  # reset, or not connected any more
            return None
    match = re.match(rb"HTTP/1\.[01] (\d{3})", received)
    return int(match[1]) if match else None


def test_over_the_wire(newest):
    canary = Canary(newest.dsn)
    _prepare(canary, "wired")
    generator = Generator(3)
    generator.cursors.append(newest.changes("wired")["cursor"])
    requests = list(MANGLED)
    for _ in range(500):
        path = generator.path("wired").replace(b" ", b"%20").replace(b"\r", b"").replace(b"\n", b"")
        query = re.sub(rb"[\s#]", b"", generator.query())[:4000]
        headers = generator.headers()
        headers.pop("CONTENT_LENGTH", None)
        lines = b"".join(
            f"{name.removeprefix('HTTP_').replace('_', '-')}: {value}\r\n".encode("latin-1")
            for name, value in headers.items()
        )
        requests.append(b"GET " + path + b"?" + query + b" HTTP/1.1\r\n" + lines + b"Connection: close\r\n\r\n")
    seen = set()
    for data in requests:
        began = time.monotonic()
        status = _status(newest.host.address, data)
        assert status not in (500, 502, 503, 504), data[:1000]
        assert time.monotonic() - began < DEADLINE, data[:1000]
        seen.add(status)
    assert {200, 400, 403, 404, 405, 406} <= seen
    assert newest.get("/healthz").status == 200
    newest.settled()
    canary.sings()
    canary.close()
    assert "Traceback" not in newest.host.log
