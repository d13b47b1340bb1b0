"""DATABASE_URL as other tools write it: the message says what to write, and nothing of the password."""

from __future__ import annotations

import pytest

from sseapp.database_url import check


@pytest.mark.parametrize(
    "text",
    [
        "",
        "postgresql://u:p@localhost/db",
        "postgres://u@h:5433/db?sslmode=require&options=-csearch_path%3Dshop",
        "postgresql://a:1,b:2/db?target_session_attrs=primary&connect_timeout=2&load_balance_hosts=random",
        "postgresql:///db?host=/run/postgresql",
        "postgresql://h/db?ssl=true",
        "postgresql://u:p%40ss@h/d%40b?host=@abstract&connect_timeout=%202",
        "postgresql://@h/db?options=a@b&connect_timeout=",
        "host=@abstract password=a@b",
        "postgresql://u:pa?ss@h/db",
        "postgresql://u:pg+x@h/db",
        "host=localhost dbname=db password='x y'",
        "service=shop",
    ],
)
def test_what_libpq_takes_is_taken(text):
    assert check(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("postgresql+psycopg2://u:topsecret@h/db", r'leave out "\+psycopg2": write postgresql://'),
        ("postgres+asyncpg://u:topsecret@h/db", r'leave out "\+asyncpg"'),
        ("jdbc:postgresql://h/db?user=u&password=topsecret", 'leave out "jdbc:"'),
        ("postgis://u:topsecret@h/db", 'write postgresql:// in place of "postgis://"'),
        ("mysql://u:topsecret@h/db", 'write postgresql:// in place of "mysql://"'),
        ("postgresql://u:topsecret@h/db?schema=public", '"schema" is not a parameter .*; write options=-csearch_path'),
        ("postgresql://u:topsecret@h/db?pgbouncer=true", '"pgbouncer" is .*; .*SSEAPP_NOTIFY=off'),
        ("postgresql://u:topsecret@h/db?sslmode=require&connection_limit=5", '"connection_limit" .*SSEAPP_POOL'),
        ("postgresql://h/db?sslmode=require&nosuch=1", '"nosuch" is not a parameter of .*; leave it out'),
        ("postgresql://h/db?ssl=1", '"ssl" is not .*; write sslmode=require'),
        ("postgresql://h/db?targetServerType=primary", "write target_session_attrs=primary"),
        ("host=h schema=public password=topsecret", '"schema" is not'),
        ("postgresql://a,b/db?target_session_attrs=standby", "sseapp needs the primary"),
        ("postgresql://u:p/topsecret?a@h/db", "use a PostgreSQL URL such as"),
        ("postgresql://u:p@topsecret@h/db", 'write "@" as %40'),
        ("postgresql://u:p@topsecret:secret@h:5433/db?sslmode=require", 'write "@" as %40'),
        ("postgresql://u:topsecret@@h/db", 'write "@" as %40'),
        ("postgresql://u@topsecret:p@h/db", 'write "@" as %40'),
        ("postgresql://u:p@top/secret@h/db", 'write "@" as %40 and "/" as %2F'),
        ("postgresql://u:top/secret@h/db", 'write "@" as %40 and "/" as %2F'),
        ("postgresql://u:topsecret@h/db?connect_timeout=abc", "connect_timeout has to be a whole number of seconds"),
        ("host=h connect_timeout=2.5", "connect_timeout has to be"),
        ("host=h connect_timeout=99999999999", "connect_timeout has to be"),
        ("host=h connect_timeout=1_0", "connect_timeout has to be"),
        ("password=topsecret topsecret=", "use a PostgreSQL URL such as"),
        ("localhost/db", "use a PostgreSQL URL such as"),
    ],
)
def test_what_other_tools_write_is_named(text, words):
    with pytest.raises(ValueError, match=words) as refused:
        check(text)
    assert "secret" not in str(refused.value)
