"""Fixtures for all: scratch databases on each PostgreSQL version, and servers of the application on them."""

from __future__ import annotations

import pytest
from harness.clusters import NEWEST, Clusters, sweep
from harness.versions import CHOSEN, WHOLE, chosen, mainly_newest, require


def pytest_addoption(parser):
    every = ",".join(version.removeprefix("pg") for version in sorted(WHOLE + CHOSEN))
    parser.addoption("--postgres", metavar="NUMBERS", help=f"run all that names no version on these, such as {every}")


def pytest_generate_tests(metafunc):
    """Run what asks for a server on each of the versions."""
    if "server" in metafunc.fixturenames:
        asked = metafunc.config.getoption("postgres")
        wanted = [f"pg{number}" for number in asked.split(",")] if asked else WHOLE
        if not asked and mainly_newest(metafunc.definition.path):
            wanted = [*(pytest.param(version, marks=pytest.mark.slow) for version in WHOLE[:-1]), NEWEST]
        if not asked and chosen(metafunc.definition.path):
            wanted = [*wanted, *(pytest.param(version, marks=pytest.mark.slow) for version in CHOSEN)]
        metafunc.parametrize("server", wanted, indirect=True)


@pytest.fixture(scope="session")
def clusters():
    sweep()
    clusters = Clusters()
    yield clusters
    clusters.close()


@pytest.fixture
def server(request, clusters):
    """The shared cluster of each version; do not stop it."""
    require(request.param)
    return clusters.shared(request.param)


@pytest.fixture
def dsn(server):
    """A fresh database, on each version."""
    with server.database() as dsn:
        yield dsn


@pytest.fixture
def pg18(clusters):
    """The shared cluster of the newest version; do not stop it."""
    require(NEWEST)
    return clusters.shared(NEWEST)


@pytest.fixture
def pg18_dsn(pg18):
    """A fresh database on the newest version alone, for tests that take long."""
    with pg18.database() as dsn:
        yield dsn


@pytest.fixture
def own_cluster(clusters):
    """A private cluster of the newest version: stop(), kill() and again() are free to use."""
    require(NEWEST)
    with clusters.own() as server:
        yield server
