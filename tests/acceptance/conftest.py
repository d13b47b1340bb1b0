"""Servers that the tests share, each on a database of its own: a test has tables of its own in it."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from support.clusters import NEWEST, VERSIONS, bindir
from support.servers import KINDS
from support.site import site as serve_site


@pytest.fixture(scope="session")
def serving(clusters):
    """Starts the server of a kind on a version when it is first asked for."""
    found = {}
    with ExitStack() as stack:

        def serving(version=NEWEST, kind="gevent"):
            if bindir(version) is None:
                pytest.skip(f"the programs of PostgreSQL {version.removeprefix('pg')} are not here")
            if (version, kind) not in found:
                found[version, kind] = stack.enter_context(serve_site(clusters.shared(version), kind))
            return found[version, kind]

        yield serving


@pytest.fixture(scope="session", params=VERSIONS)
def site(request, serving):
    """A server on a database of each version."""
    return serving(request.param)


@pytest.fixture(scope="session")
def newest(serving):
    """A server on a database of the newest version, for what does not depend on it."""
    return serving()


@pytest.fixture(scope="session", params=KINDS)
def hosted(request, serving):
    """A server of each kind."""
    return serving(kind=request.param)


@pytest.fixture(scope="session", params=["gthread", "waitress"])
def threaded(request, serving):
    """A server of each kind where every stream holds a thread."""
    return serving(kind=request.param)
