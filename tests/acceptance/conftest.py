"""Servers that the tests share, each on a database of its own: a test has tables of its own in it."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from harness.clusters import NEWEST, VERSIONS, bindir
from harness.servers import KINDS
from harness.site import site as serve_site

READING = {"test_http_errors", "test_http_filters", "test_http_parameters", "test_http_security", "test_http_tables"}


@pytest.fixture(scope="session")
def serving(clusters):
    """Starts the server of a kind on a version when it is first asked for."""
    found = {}
    with ExitStack() as stack:

        def serving(version=NEWEST, kind="gevent", options=()):
            if bindir(version) is None:
                pytest.skip(f"the programs of PostgreSQL {version.removeprefix('pg')} are not here")
            name = version, kind, options
            if name not in found:
                found[name] = stack.enter_context(serve_site(clusters.shared(version), kind, options=options))
            return found[name]

        yield serving


# on threads many: there a client that has gone is noticed late, and holds one until then
DELIVERIES = {"generator": ("gthread", ("--threads", "100")), "broadcaster": ("gevent", ())}


@pytest.fixture(scope="session", params=zip(VERSIONS, DELIVERIES, strict=True), ids="-".join)
def site(request, serving):
    """A server on a database of each version, one with each delivery: the contract is the same for both."""
    version, delivery = request.param
    return serving(version, *DELIVERIES[delivery])


@pytest.fixture(scope="session")
def newest(serving):
    """A server on a database of the newest version, for what does not depend on it."""
    return serving()


def _kinds(*kinds):
    """All but the last one, a host on threads like the one before, are quick enough for `make test`."""
    return [*kinds[:-1], pytest.param(kinds[-1], marks=pytest.mark.slow)]


@pytest.fixture(scope="session", params=_kinds(*KINDS))
def hosted(request, serving):
    """A server of each kind."""
    return serving(kind=request.param)


@pytest.fixture(scope="session", params=_kinds("gthread", "waitress"))
def threaded(request, serving):
    """A server of each kind where every stream holds a thread."""
    return serving(kind=request.param)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """How a request is read, and refused, is the same on each delivery: `make test-all` tries the other one, too."""
    for item in items:
        if item.path.stem in READING and "pg15-generator" in item.name:
            item.add_marker(pytest.mark.slow)
