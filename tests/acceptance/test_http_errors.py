"""Errors are application/problem+json, and say what is wrong and what would work."""

from __future__ import annotations

import pytest
from harness import sse


def test_a_problem_has_its_members_and_no_more(newest):
    table = newest.table()
    answer = newest.get(f"/tables/{table}/rows", limit="x")
    assert answer.problem == {
        "title": "Bad parameter",
        "status": 400,
        "detail": "'x' is not a whole number from 0 to 10000.",
        "parameter": "limit",
    }


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/nothing", 404),
        ("/tables/", 404),
        ("/tables", 200),
        ("/tables/x", 404),
        ("/tables//rows", 404),
        ("/tables/x/rows/", 404),
        ("/static/../wsgi.py", 404),
        ("/static/%2e%2e/wsgi.py", 404),
        ("/static/nothing.js", 404),
        ("/favicon.ico", 404),
    ],
)
def test_what_is_not_there(newest, target, status):
    answer = newest.get(target)
    assert answer.status == status
    if status != 200:
        assert (answer.problem["title"], "/tables/<table>/rows" in answer.problem["detail"]) == ("Not found", True)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "NONSENSE"])
@pytest.mark.parametrize("resource", ["tables", "tables/x/rows", "tables/x/changes", "", "metrics"])
def test_nothing_can_be_written(newest, method, resource):
    answer = sse.ask(newest.host.address, f"/{resource}", method=method)
    assert answer.status == 405
    assert answer.problem
    assert {"GET", "HEAD"} <= {allowed.strip() for allowed in answer.headers["allow"].split(",")}


def test_a_cursor_that_is_no_longer_valid_is_410_with_its_reason(newest):
    table = newest.table()
    cursor = newest.changes(table)["cursor"]
    answer = newest.get(f"/tables/{table}/changes", after=cursor, a="eq.other")
    assert answer.status == 410
    problem = answer.problem
    assert problem["parameter"] == "after"
    assert problem["reason"] == "the cursor belongs to another table or filter"
    assert problem["reason"] in problem["detail"]


@pytest.mark.parametrize(
    ("target", "status", "vary"),
    [
        ("/tables", 200, None),
        ("/healthz", 200, None),
        ("/readyz", 200, None),
        ("/metrics", 200, None),
        ("/nothing", 404, None),
        ("/static/nothing.js", 404, None),
        ("/tables/x/rows", 404, "Accept"),
        ("/tables/x/changes", 404, "Accept"),
    ],
)
def test_nothing_is_kept_by_a_cache(newest, target, status, vary):
    newest.caught_up()
    answer = newest.get(target)
    assert (answer.status, answer.headers.get("cache-control"), answer.headers.get("vary")) == (
        status, "no-store", vary,
    )  # fmt: skip


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream", "image/png"])
def test_no_error_of_a_resource_is_kept_by_a_cache(newest, accept):
    answer = newest.get(f"/tables/{newest.table()}/changes", {"Accept": accept}, limit="x")
    assert answer.status == (406 if accept == "image/png" else 400)
    assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-store", "Accept")


@pytest.mark.parametrize("target", ["/", "/static/view.js"])
def test_static_files_may_be_cached_and_revalidated(newest, target):
    assert newest.get(target).headers["cache-control"] == "no-cache"


def test_a_fault_of_ours_is_a_500_that_tells_nothing_but_in_the_log(monkeypatch):
    from sseapp import create_app  # noqa: PLC0415 - the one test here without a server
    from sseapp.config import Settings  # noqa: PLC0415
    from sseapp.process import Process  # noqa: PLC0415

    def fail(_self):
        raise RuntimeError("a secret")

    monkeypatch.setattr(Process, "runtime", fail)
    app = create_app(Settings.from_environ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}))
    answer = app.test_client().get("/tables")
    assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
    assert "secret" not in answer.text


def test_the_stream_of_a_table_that_is_not_there_is_a_plain_404(newest):
    """A browser must not come back for ever."""
    answer = newest.get("/tables/nothing/changes", {"Accept": "text/event-stream"})
    assert answer.status == 404
    assert answer.problem["parameter"] == "table"
