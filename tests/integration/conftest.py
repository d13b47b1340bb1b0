"""Fixtures for tests of the database's side."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count

import pytest
from support.watching import Site, installed

_numbers = count(1)


@pytest.fixture(scope="session")
def _sites():
    """One database a version for all tests that leave the installation alone: they make schemas of their own in it."""
    with ExitStack() as stack:
        yield stack, {}


@pytest.fixture
def site(server, _sites):
    """A schema of the test's own where sseapp is installed, by a role that is no superuser."""
    stack, dsns = _sites
    if server.version not in dsns:
        dsns[server.version] = stack.enter_context(installed(server))
    site = Site(dsns[server.version], f"site_{next(_numbers)}")
    yield site
    site.close()
