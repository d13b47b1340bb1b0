"""The client before servers that answer what they are told to: what it tries again, and what it raises."""

from __future__ import annotations

import base64
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from sseapp.client import follow
from sseapp.errors import BadParameterError, FollowError

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"
EVENT = b'id: %d\nevent: insert\ndata: {"row":{"id":%d}}\n\n'


class Scripted:
    """Answers one connection after the other with the next of ``answers``, as they stand, and closes it."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.requests = []
        self.times = []
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/tables/t/changes"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while self._answers:
            connection, _ = self._socket.accept()
            with connection:
                self.times.append(time.monotonic())
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536)
                self.requests.append(request.decode())
                answer = self._answers.pop(0)
                if callable(answer):
                    answer(connection)
                else:
                    connection.sendall(answer.replace(b"{port}", self.url.split(":")[2].split("/")[0].encode()))

    def close(self):
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._socket.close()

    def header(self, at, name):
        lines = [line.partition(": ") for line in self.requests[at].split("\r\n")]
        return next((value for found, _, value in lines if found.lower() == name.lower()), None)


@contextmanager
def scripted(*answers):
    server = Scripted(*answers)
    yield server
    server.close()


def status(code, *headers, body=b""):
    return b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n%b" % (
        code, b"".join(b"%b\r\n" % header for header in headers), len(body), body,
    )  # fmt: skip


def ids(server, count, **options):
    with follow(server.url, **{"retry": 0.01, "timeout": 5} | options) as changes:
        return [next(changes).row["id"] for _ in range(count)]


LAST = OK + EVENT % (9, 9)


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504, 520])
def test_what_another_try_may_mend_is_tried_again(code):
    with scripted(OK + EVENT % (1, 1), status(code, body=b"<html>"), LAST) as server:
        assert ids(server, 2) == [1, 9]
        assert [server.header(at, "Last-Event-ID") for at in range(3)] == [None, "1", "1"]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 406, 410, 501])
def test_what_no_other_try_would_mend_is_raised(code):
    problem = b'{"title":"T","status":400,"detail":"the detail","parameter":"start","reason":"why"}'
    with scripted(OK + EVENT % (1, 1), status(code, b"Content-Type: application/problem+json", body=problem)) as server:
        with follow(server.url, retry=0.01) as changes:
            assert next(changes).row == {"id": 1}
            with pytest.raises(FollowError, match="the detail") as caught:
                next(changes)
        assert (caught.value.status, caught.value.parameter, caught.value.reason) == (code, "start", "why")


@pytest.mark.parametrize(
    "answer",
    [
        status(200, b"Content-Type: text/html", body=b"Sign in"),
        status(200, body=b"x"),
        status(404, body=b"\xff not JSON"),
        status(404, b"Content-Type: application/problem+json", body=b"[]"),
        OK + b"data: no JSON\n\n",
    ],
)
def test_an_answer_that_is_no_stream_is_raised(answer):
    with scripted(answer) as server, follow(server.url) as changes, pytest.raises(FollowError):
        next(changes)


@pytest.mark.parametrize("length", range(0, len(LAST), 7))
def test_an_answer_that_is_cut_anywhere_is_asked_for_again(length):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n%x\r\n%b\r\n"
    body = EVENT % (9, 9)
    for whole in (LAST, chunked % (len(body), body)):
        with scripted(whole[:length], OK + EVENT % (5, 5)) as server:
            assert ids(server, 1) == [5]


def test_nobody_there_is_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = []
    follower = threading.Thread(
        target=lambda: found.append(next(follow(f"http://127.0.0.1:{port}/tables/t/changes", retry=0.05)))
    )
    follower.start()
    with socket.create_server(("127.0.0.1", port)) as server:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(LAST)
            follower.join(10)
    assert [change.row["id"] for change in found] == [9]


def test_a_server_that_falls_silent_is_left():
    def silent(connection):
        connection.sendall(OK + EVENT % (1, 1))
        assert connection.recv(1) == b""  # the client has closed it

    with scripted(silent, LAST) as server:
        assert ids(server, 2, timeout=0.3) == [1, 9]


def test_an_id_without_data_moves_the_cursor():
    with scripted(OK + EVENT % (1, 1) + b":\nid: 5\n\n", LAST) as server:
        assert ids(server, 2) == [1, 9]
        assert server.header(1, "Last-Event-ID") == "5"


def test_half_an_event_does_not_move_the_cursor():
    with scripted(OK + EVENT % (1, 1) + b'event: insert\ndata: {"row":{"id":2}}\nid: 2\n', LAST) as server:
        assert ids(server, 2) == [1, 9]
        assert server.header(1, "Last-Event-ID") == "1"


def test_it_begins_at_the_cursor_that_is_given():
    with scripted(LAST) as server, follow(server.url, cursor="abc") as changes:
        assert next(changes).cursor == changes.cursor == "9"
        assert server.header(0, "Last-Event-ID") == "abc"


def test_the_servers_times_are_kept():
    stream = OK + b"retry: 300\n\n" + EVENT % (1, 1) + b"retry: 400\nevent: bye\ndata: {}\n\n"
    with scripted(stream, status(503, b"Retry-After: 1"), LAST) as server:
        assert ids(server, 2, retry=9) == [1, 9]
        assert 0.4 <= server.times[1] - server.times[0] < 1
        assert 1 <= server.times[2] - server.times[1] < 2.5


def test_each_failure_in_a_row_doubles_the_wait():
    refused = OK + b": All places are taken.\n\n"  # what a server sends that browsers would give up on
    with scripted(*[refused] * 5, LAST) as server:
        ids(server, 1, retry=0.05)
        waits = [after - before for before, after in zip(server.times, server.times[1:], strict=False)]
    for at, wait in enumerate(waits):
        assert wait >= 0.05 * 2**at


def test_a_token_or_the_addresss_user_is_sent_and_not_shown_to_other_servers():
    with scripted(LAST) as server:
        ids(server, 1, token="t0k")  # noqa: S106  # of nothing
        assert server.header(0, "Authorization") == "Bearer t0k"
    with scripted(LAST) as elsewhere:
        moved = status(302, b"Location: " + elsewhere.url.encode())
        with scripted(status(307, b"Location: /there"), moved) as server:
            with follow(server.url.replace("//", "//user:p%40ss@")) as changes:
                assert next(changes).row == {"id": 9}
            wanted = f"Basic {base64.b64encode(b'user:p@ss').decode()}"
            assert [server.header(at, "Authorization") for at in range(2)] == [wanted] * 2
            assert server.header(0, "Host") == server.url.split("/")[2]
        assert elsewhere.header(0, "Authorization") is None


def test_names_and_blanks_in_an_address_are_encoded():
    with scripted(LAST) as server:
        server.url = server.url.replace("/t/", "/Straße 1/") + "?a=eq.ü&b=%20"
        ids(server, 1)
        assert server.requests[0].startswith("GET /tables/Stra%C3%9Fe%201/changes?a=eq.%C3%BC&b=%20 HTTP/1.1")


@pytest.mark.parametrize("url", ["", "localhost:8000/tables", "ftp://localhost/", "http:///x", "file:///etc/passwd"])
def test_what_is_no_address_is_refused_at_once(url):
    with pytest.raises(BadParameterError) as caught:
        follow(url)
    assert caught.value.parameter == "url"


def test_a_change_may_be_dealt_with_while_the_connection_is_lost():
    """What has come already is yielded, in order, before it looks whether more comes."""
    with scripted(OK + b"".join(EVENT % (n, n) for n in range(100)), OK + EVENT % (100, 100)) as server:
        assert ids(server, 101) == list(range(101))
        assert server.header(1, "Last-Event-ID") == "99"
