"""Several hosts in a DSN, and the parameters that choose among them: each means what libpq says."""

from __future__ import annotations

import socket
import time
from contextlib import closing, contextmanager

import pytest
from harness.standby import standby

from sseapp import errors
from sseapp.postgres.database import Connection


@pytest.fixture
def silent():
    """The port of a server that accepts and says nothing."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(50)
        yield deaf.getsockname()[1]


@pytest.fixture
def refusing():
    """A port where nobody listens."""
    with socket.socket() as unbound:
        unbound.bind(("127.0.0.1", 0))
        yield unbound.getsockname()[1]


def _dsn(*ports, parameters=""):
    return f"postgresql://postgres@{','.join(f'127.0.0.1:{port}' for port in ports)}/postgres{parameters}"


def _port(dsn, **options):
    with closing(Connection(dsn, **options)) as connection:
        return connection.query("SHOW port")[0][0]


@contextmanager
def _taking(least, most):
    began = time.monotonic()
    yield
    assert least <= time.monotonic() - began < most


def test_each_host_has_its_own_time(pg18, silent):
    dsn = _dsn(silent, pg18.port, parameters="?connect_timeout=2")
    with _taking(2, 3.5):
        assert _port(dsn) == str(pg18.port)


def test_a_limit_that_is_no_number_is_refused_wherever_it_comes_from(pg18, monkeypatch):
    with pytest.raises(errors.ConnectionLostError, match="connect_timeout has to be a whole number of seconds"):
        _port(_dsn(pg18.port, parameters="?connect_timeout=abc"))
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "2s")
    with pytest.raises(errors.ConnectionLostError, match="connect_timeout has to be a whole number of seconds"):
        _port(_dsn(pg18.port))


@pytest.mark.parametrize("limit", ["", "?connect_timeout=0"])
def test_without_a_limit_a_host_has_the_deadline(pg18, silent, limit):
    with _taking(0.6, 2):
        assert _port(_dsn(silent, silent, pg18.port, parameters=limit), deadline=0.3) == str(pg18.port)


def test_a_limit_of_a_second_is_two(pg18, silent):
    with _taking(2, 3.5):
        assert _port(_dsn(silent, pg18.port, parameters="?connect_timeout=1")) == str(pg18.port)


def test_a_host_that_refuses_costs_no_time(pg18, refusing):
    with _taking(0, 1):
        assert _port(_dsn(refusing, refusing, pg18.port)) == str(pg18.port)


def test_a_name_that_does_not_resolve_is_passed_over(pg18):
    assert _port(f"host=nothing.invalid,127.0.0.1 port={pg18.port} user=postgres") == str(pg18.port)
    with pytest.raises(errors.ConnectionLostError, match=r"could not translate host name .nothing\.invalid"):
        _port(f"host=nothing.invalid port={pg18.port} user=postgres")


def test_each_address_of_a_name_has_its_own_time(pg18, monkeypatch):
    def resolve(*_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.2", pg18.port))
        deaf.listen()
        with _taking(0.3, 2):
            assert _port(f"postgresql://postgres@db.example:{pg18.port}/postgres", deadline=0.3) == str(pg18.port)


def test_where_none_answers_each_is_named(silent, refusing):
    with pytest.raises(errors.ConnectionLostError, match="refused") as lost:
        _port(_dsn(refusing, silent), deadline=0.3)
    assert "did not answer within 0.3 s" in str(lost.value)
    with pytest.raises(errors.DeadlineError):
        _port(_dsn(silent, silent), deadline=0.3)


def test_a_server_that_says_no_is_the_last_to_be_asked(pg18, clusters):
    """libpq: "if authentication fails, the remaining hosts in the list are not tried"."""
    with clusters.own() as other:
        other.execute("CREATE DATABASE only_here")
        dsn = f"postgresql://postgres@127.0.0.1:{pg18.port},127.0.0.1:{other.port}/only_here"
        with pytest.raises(errors.ConnectionLostError, match='"only_here" does not exist'):
            _port(dsn)
        assert _port(f"postgresql://postgres@127.0.0.1:{other.port},127.0.0.1:{pg18.port}/only_here") == str(other.port)


def test_a_standby_is_passed_over(own_cluster):
    with standby(own_cluster) as second:
        first, other = str(own_cluster.port), str(second.port)
        for wanted, found in (
            ("", first),
            ("?target_session_attrs=any", other),
            ("?target_session_attrs=read-write", first),
            ("?target_session_attrs=primary", first),
            ("?target_session_attrs=standby", other),
            ("?target_session_attrs=prefer-standby", other),
        ):
            assert _port(_dsn(other, first, parameters=wanted)) == found, wanted
        assert _port(_dsn(first, other, parameters="?target_session_attrs=prefer-standby")) == other
        assert _port(_dsn(first, parameters="?target_session_attrs=prefer-standby")) == first
        with pytest.raises(errors.ConnectionLostError, match="hot standby mode"):
            _port(_dsn(other, parameters="?target_session_attrs=primary"))


def test_hosts_in_any_order(pg18, clusters):
    with clusters.own() as other:
        dsn = _dsn(pg18.port, other.port, parameters="?load_balance_hosts=random")
        assert {_port(dsn) for _ in range(30)} == {str(pg18.port), str(other.port)}
        assert {_port(_dsn(pg18.port, other.port)) for _ in range(10)} == {str(pg18.port)}


def test_hosts_of_the_environment_and_of_a_service(pg18, refusing, monkeypatch, tmp_path):
    services = tmp_path / "services"
    services.write_text(f"[shop]\nhost=127.0.0.1,127.0.0.1\nport={refusing},{pg18.port}\nuser=postgres\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    assert _port("service=shop") == str(pg18.port)
    monkeypatch.setenv("PGHOST", "127.0.0.1,127.0.0.1")
    monkeypatch.setenv("PGPORT", f"{refusing},{pg18.port}")
    assert _port("user=postgres") == str(pg18.port)


def test_lists_that_do_not_match_are_refused_in_libpqs_words(pg18):
    with pytest.raises(errors.ConnectionLostError, match="could not match 2 port numbers to 3 hosts"):
        _port(f"host=127.0.0.1,127.0.0.1,127.0.0.1 port={pg18.port},{pg18.port} user=postgres")
