"""One server a PostgreSQL version that most tests share: each has tables of its own."""

from __future__ import annotations

import pytest
from support.clusters import NEWEST, VERSIONS, bindir
from support.servers import KINDS
from support.site import site as serve_site


@pytest.fixture(scope="session", params=VERSIONS)
def site(request, clusters):
    """A server on a database of each version."""
    if bindir(request.param) is None:
        pytest.skip(f"the programs of PostgreSQL {request.param.removeprefix('pg')} are not here")
    with serve_site(clusters.shared(request.param)) as found:
        yield found


@pytest.fixture(scope="session")
def newest(clusters):
    """A server on a database of the newest version, for what does not depend on it."""
    if bindir(NEWEST) is None:
        pytest.skip(f"the programs of PostgreSQL {NEWEST.removeprefix('pg')} are not here")
    with serve_site(clusters.shared(NEWEST)) as found:
        yield found


@pytest.fixture(scope="session", params=KINDS)
def hosted(request, clusters):
    """A server of each kind, on the newest version."""
    if bindir(NEWEST) is None:
        pytest.skip(f"the programs of PostgreSQL {NEWEST.removeprefix('pg')} are not here")
    with serve_site(clusters.shared(NEWEST), request.param) as found:
        yield found
