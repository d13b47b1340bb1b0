"""Fixtures for tests of the database's side."""

from __future__ import annotations

from contextlib import ExitStack, closing
from itertools import count

import pytest
from harness.watching import Ground, Site, installed

_numbers = count(1)


@pytest.fixture(scope="session")
def _grounds():
    """One database a version for all tests that leave the installation alone: they make schemas of their own in it."""
    with ExitStack() as stack:
        yield stack, {}


@pytest.fixture
def site(server, _grounds):
    """A schema of the test's own where sseapp is installed, by a role that is no superuser."""
    stack, grounds = _grounds
    if server.version not in grounds:
        dsn = stack.enter_context(installed(server))
        grounds[server.version] = stack.enter_context(closing(Ground(dsn)))
    site = Site(grounds[server.version], f"site_{next(_numbers)}")
    yield site
    site.close()
