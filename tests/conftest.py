"""Fixtures for all: scratch databases on each PostgreSQL version, and servers of the application on them."""

from __future__ import annotations

import pytest
from harness.clusters import NEWEST, VERSIONS, Clusters, bindir, sweep


@pytest.fixture(scope="session")
def clusters():
    sweep()
    clusters = Clusters()
    yield clusters
    clusters.close()


def _require(version: str) -> None:
    if bindir(version) is None:
        pytest.skip(f"the programs of PostgreSQL {version.removeprefix('pg')} are not here (see README.md)")


@pytest.fixture(params=VERSIONS)
def server(request, clusters):
    """The shared cluster of each version; do not stop it."""
    _require(request.param)
    return clusters.shared(request.param)


@pytest.fixture
def dsn(server):
    """A fresh database, on each version."""
    with server.database() as dsn:
        yield dsn


@pytest.fixture
def pg18(clusters):
    """The shared cluster of the newest version; do not stop it."""
    _require(NEWEST)
    return clusters.shared(NEWEST)


@pytest.fixture
def pg18_dsn(pg18):
    """A fresh database on the newest version alone, for tests that take long."""
    with pg18.database() as dsn:
        yield dsn


@pytest.fixture
def own_cluster(clusters):
    """A private cluster of the newest version: stop(), kill() and again() are free to use."""
    _require(NEWEST)
    with clusters.own() as server:
        yield server
