"""Migrations by Alembic and by Django: they install and watch, go back, and leave nothing behind."""

from __future__ import annotations

import subprocess
import sys

import psycopg2
import pytest
from harness.servers import ROOT

from sseapp import migrations

ENV = """
import sqlalchemy as sa
from alembic import context
from sseapp.migrations import include_name, include_object

metadata = sa.MetaData()
sa.Table("OrderItem", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("a:b", sa.Text))
options = dict(
    target_metadata=metadata, include_object=include_object, include_schemas=True, **(INCLUDE_NAME)
)
url = context.config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, dialect_opts={"paramstyle": "named"}, **options)
    with context.begin_transaction():
        context.run_migrations()
else:
    with sa.create_engine(url, poolclass=sa.pool.NullPool).connect() as connection:
        context.configure(connection=connection, **options)
        with context.begin_transaction():
            context.run_migrations()
"""
REVISION = """
import sqlalchemy as sa
from alembic import op
from sseapp.migrations import install, uninstall, unwatch, watch

revision = "1"
down_revision = None

def upgrade():
    op.create_table("OrderItem", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a:b", sa.Text))
    op.execute(install())
    op.execute(watch("OrderItem", hide=["a:b"]))

def downgrade():
    op.execute(unwatch("OrderItem"))
    op.execute(uninstall())
    op.drop_table("OrderItem")
"""
DJANGO = """
import os, sys
import django
from django.conf import settings
from django.core.management import call_command
from psycopg2.extensions import parse_dsn

found = parse_dsn(os.environ["DATABASE_URL"])
database = {"ENGINE": "django.db.backends.postgresql", "NAME": found["dbname"], "USER": found["user"]}
settings.configure(
    INSTALLED_APPS=["shop"], DATABASES={"default": database | {"HOST": found["host"], "PORT": found["port"]}}
)
django.setup()
call_command("migrate", "shop", sys.argv[1], verbosity=0)
call_command("sqlmigrate", "shop", "0001")
"""
MIGRATION = """
from django.db import migrations, models
from sseapp.migrations import install, uninstall, unwatch, watch

class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel("Order", [("id", models.BigAutoField(primary_key=True)), ("a", models.TextField())]),
        migrations.RunSQL(install(), uninstall()),
        migrations.RunSQL(watch("shop_order", range_column="id", hide=["a"]), unwatch("shop_order")),
    ]
"""


def _query(dsn, statement):
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def _run(*command, folder, dsn):
    environ = {"DATABASE_URL": dsn, "PYTHONPATH": f"{ROOT}:{folder}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


WATCHED = 'SELECT "table"::text, hidden::text[] FROM sseapp.watched'
NOTHING = """
SELECT nspname::text FROM pg_namespace WHERE nspname = 'sseapp' UNION ALL
SELECT tgname FROM pg_trigger WHERE tgname LIKE '!sseapp%'
"""


@pytest.fixture
def alembic(tmp_path, pg18_dsn):
    """Runs Alembic in a project with one revision."""
    pytest.importorskip("alembic", reason="Alembic is not here (requirements-dev.txt)")
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENV.replace("INCLUDE_NAME", "{'include_name': include_name}"))
    (tmp_path / "versions" / "1.py").write_text(REVISION)
    url = pg18_dsn.replace("postgresql:", "postgresql+psycopg2:")
    (tmp_path / "alembic.ini").write_text(f"[alembic]\nscript_location = .\nsqlalchemy.url = {url}\n")
    return lambda *command: _run("-m", "alembic", *command, folder=tmp_path, dsn=pg18_dsn)


def test_alembic_goes_up_and_down(alembic, pg18_dsn, tmp_path):
    alembic("upgrade", "head")
    assert _query(pg18_dsn, WATCHED) == [("OrderItem", ["a:b"])]
    assert "No new upgrade operations" in alembic("check")
    (tmp_path / "env.py").write_text(ENV.replace("INCLUDE_NAME", "{}"))
    assert "No new upgrade operations" in alembic("check")
    _query(pg18_dsn, """INSERT INTO "OrderItem" VALUES (1, 'x')""")
    assert _query(pg18_dsn, "SELECT count(*) > 0 FROM sseapp.change") == [(True,)]
    alembic("downgrade", "base")
    assert _query(pg18_dsn, NOTHING) == []


def test_what_alembic_writes_offline_does_the_same(alembic, pg18_dsn):
    _query(pg18_dsn, alembic("upgrade", "head", "--sql"))
    assert _query(pg18_dsn, WATCHED) == [("OrderItem", ["a:b"])]


def test_django_goes_up_and_down(pg18_dsn, tmp_path):
    pytest.importorskip("django", reason="Django is not here (requirements-dev.txt)")
    (tmp_path / "shop" / "migrations").mkdir(parents=True)
    for package in ("shop", "shop/migrations"):
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "shop" / "migrations" / "0001_live.py").write_text(MIGRATION)
    assert "sseapp.watch" in _run("-c", DJANGO, "0001", folder=tmp_path, dsn=pg18_dsn)
    assert _query(pg18_dsn, WATCHED) == [("shop_order", ["a"])]
    _run("-c", DJANGO, "zero", folder=tmp_path, dsn=pg18_dsn)
    assert _query(pg18_dsn, NOTHING) == []


@pytest.mark.parametrize("name", ["orders", "OrderItem", "shop.Odd", '"Odd.Name"', "Odd.Name", "a:b'c\\d", "100%"])
def test_a_table_of_any_name_is_found(pg18_dsn, name):
    created = {"shop.Odd": 'shop."Odd"', '"Odd.Name"': '"Odd.Name"'}.get(name) or f'"{name}"'
    _query(pg18_dsn, f"CREATE SCHEMA shop; CREATE TABLE {created} (id int PRIMARY KEY)")
    _query(pg18_dsn, migrations.install())
    _query(pg18_dsn, migrations.watch(name, only_columns=["id"]))
    assert _query(pg18_dsn, "SELECT count(*) FROM sseapp.watched") == [(1,)]
    assert _query(pg18_dsn, migrations.unwatch(name)) == [(True,)]
