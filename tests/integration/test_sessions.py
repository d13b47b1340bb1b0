"""What a role, a database and a pooler bring to our sessions: they do their whole work all the same, or say why not."""

from __future__ import annotations

from contextlib import closing

import pytest
from harness.pooler import pooler

from sseapp import create_app, errors
from sseapp.config import Settings
from sseapp.postgres import pruner, schema
from sseapp.postgres.database import Connection


@pytest.fixture
def role(server):
    """A role that may log in, and its name."""
    server.execute("CREATE ROLE tenant LOGIN")
    yield "tenant"
    server.execute("DROP ROLE tenant")


def _as(dsn, role):
    return closing(Connection(dsn.replace("//postgres@", f"//{role}@")))


@pytest.mark.parametrize("through", ["directly", "through a pooler"])
def test_a_role_whose_transactions_are_read_only_by_default_may_write(server, through):
    with server.database() as dsn:
        name = dsn.rsplit("/", 1)[1]
        with closing(Connection(dsn)) as connection:
            schema.install(connection)
        server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        if through == "directly":
            _writes(dsn)
        else:
            with pooler(server) as pooled:
                _writes(pooled(dsn))


def _writes(dsn):
    with closing(Connection(dsn)) as connection:
        connection.query("CREATE TABLE t (id int PRIMARY KEY)")
        schema.watch(connection, "t")
        connection.query("INSERT INTO t VALUES (1)")
        assert sum(pruner.steps(connection, retention=0, size=1)) > 0
        schema.unwatch(connection, "t")


def test_a_read_of_which_a_policy_would_leave_rows_out_is_refused(server, role, dsn):
    with closing(Connection(dsn)) as owner:
        owner.query(f"""
            CREATE TABLE secrets (id int, who text); ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
            CREATE POLICY p ON secrets USING (who = current_user); GRANT SELECT ON secrets TO {role};
            INSERT INTO secrets VALUES (1, 'tenant'), (2, 'postgres')""")
    with _as(dsn, role) as connection, pytest.raises(errors.RowSecurityError) as refused:
        connection.query("SELECT * FROM secrets")
    assert "hides rows of the table secrets" in refused.value.detail
    assert "BYPASSRLS" in refused.value.detail
    assert refused.value.sqlstate == "42501"
    server.execute(f"ALTER ROLE {role} BYPASSRLS")
    with _as(dsn, role) as connection:
        assert connection.query("SELECT count(*) FROM secrets") == [(2,)]


def test_an_owner_is_refused_too_where_its_policies_are_forced(role, dsn):
    with closing(Connection(dsn)) as owner:
        owner.query(f"CREATE TABLE secrets (id int); ALTER TABLE secrets OWNER TO {role}")
        owner.query("ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; INSERT INTO secrets VALUES (1)")
    with _as(dsn, role) as connection:
        assert connection.query("SELECT count(*) FROM secrets") == [(1,)]
        connection.query("ALTER TABLE secrets FORCE ROW LEVEL SECURITY")
        with pytest.raises(errors.RowSecurityError):
            connection.query("SELECT count(*) FROM secrets")
        connection.query("ALTER TABLE secrets NO FORCE ROW LEVEL SECURITY")


def test_a_table_whose_policies_hide_rows_is_not_shown_in_part(server, role, dsn):
    server.execute(f"ALTER DATABASE {dsn.rsplit('/', 1)[1]} OWNER TO {role}")
    with _as(dsn, role) as owner:
        schema.install(owner)
        owner.query("""
            CREATE SCHEMA shop; CREATE TABLE shop.secrets (id int PRIMARY KEY);
            INSERT INTO shop.secrets VALUES (1), (2);
            ALTER TABLE shop.secrets ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON shop.secrets USING (id = 1)""")
        schema.watch(owner, "shop.secrets", subscribers_see_all_rows=True)
        app = create_app(Settings.from_environ({"DATABASE_URL": dsn.replace("//postgres@", f"//{role}@")}))
        client = app.test_client()
        try:
            assert [row["id"] for row in client.get("/tables/shop.secrets/rows").json["rows"]] == [1, 2]
            owner.query("ALTER TABLE shop.secrets FORCE ROW LEVEL SECURITY")
            answer = client.get("/tables/shop.secrets/rows")
            assert answer.status_code == 503
            assert "Row-level security hides rows of the table secrets" in answer.json["detail"]
            assert role not in answer.json["detail"]
            stream = client.get("/tables/shop.secrets/changes", headers={"Accept": "text/event-stream"})
            assert stream.status_code == 200
            assert "hides rows of the table secrets" in stream.text
            assert "event: snapshot" not in stream.text
        finally:
            app.extensions["sseapp"].runtime().close()
