"""Requests that nobody means well with: names, values, operators, encodings and headers at random, from a seed."""

from __future__ import annotations

import random
from urllib.parse import quote, quote_from_bytes

COLUMNS = {
    "id": "int PRIMARY KEY",
    "t": "text",
    "c": "char(3)",
    "n": "numeric",
    "m": "numeric(6,2)",
    "f": "float8",
    "r": "real",
    "s": "smallint",
    "ts": "timestamptz",
    "wall": "timestamp",
    "d": "date",
    "tm": "time",
    "u": "uuid",
    "b": "boolean",
    "e": "mood",
    "j": "json",
    "i": "inet",
    "a": "int[]",
    "y": "bytea",
    "v": "interval",
    "end": "int",
    'we.ird "n/ame%': "text",
}
TEXTS = ("t", "c", 'we.ird "n/ame%')
ROWS = """
(1, 'a', 'x', 1.5, 1.50, 0.1, 0.1, 1, '2026-01-01', '2026-01-01', '2026-01-01', '12:00', gen_random_uuid(), true,
 'glad', '{}', '10.0.0.1', '{1}', '\\x00', '1 day', 1, 'w'),
(2, '', '', 'NaN', NULL, 'Infinity', '-Infinity', -1, 'infinity', '-infinity', '0044-03-15 BC', '24:00', NULL, NULL,
 'sad', 'null', '::1', NULL, '', '-1 mon', NULL, NULL)
"""
# each would leave a mark, were it to reach the server as a statement
INJECTIONS = (
    "'; CREATE TABLE pwned (); --",
    '"; CREATE TABLE pwned (); --',
    "1; CREATE TABLE pwned ()",
    "$$; CREATE TABLE pwned (); --",
    "\\'; CREATE TABLE pwned (); --",
    "E'\\''; CREATE TABLE pwned (); --",
    "1) ; CREATE TABLE pwned (); --",
    "') OR canary.touch() IS NULL --",
    "' OR canary.touch() IS NULL OR '1'='1",
    "canary.touch()",
    '"id" OR canary.touch() IS NULL',
    "id, canary.touch()",
    "id; SELECT canary.touch()",
    "%(piece)s",
    "%s%s%s%%n",
    "{columns}{where}{0}",
    "/*", "--", "1 UNION SELECT canary.touch()",
)  # fmt: skip
VALUES = (
    "", " ", "0", "-0", "1", "+1", "1.5", ".5", "1.", "1e5", "1e-400", "1e400", "1e999999999", "9" * 40,
    "-" + "9" * 400,
    "0x10", "1_000", "NaN", "nan", "Infinity", "-inf", "١٢", "true", "t", "TRUE", "yes", "null", "NULL", "glad", "GLAD",
    "2026-01-01", "2026-13-01", "2026-02-30", "0000-00-00", "0001-01-01 BC", "4714-11-24 BC", "4715-01-01 BC",
    "294276-12-31 23:59:59.999999", "294277-01-01", "5874897-12-31", "5874898-01-01", "99999-01-01", "infinity",
    "-infinity",
    "now", "today", "epoch", "allballs", "J2451187", "2026-01-01T12:00:00Z", "2026-01-01 12:00 01:00",
    "2026-01-01T12:00+15:59:59",
    "2026-01-01T12:00+16", "2026-01-01T24:00:00", "2026-01-01T23:59:60", "2026-01-01 12:00 America/New_York",
    "12:00", "24:00:00", "24:00:01", "25:00", "12:00:00.1234567", "00000000-0000-0000-0000-000000000000",
    "{00000000-0000-0000-0000-000000000000}", "0" * 32, "10.0.0.1", "10.0.0.0/8", "::1", "::ffff:1.2.3.4/128",
    "{1,2}", "{}",
    "\\x00", "\\xzz", "1 day", "P1D", "(1,2)", "(a,b)", '("a","b\\"c")', '("', "()", "(,)", "a\0b", "\ud800",
    "\ufffe", "😀" * 50,
    "ä", "a\u0308", "\u2028", "\n\r\t", "x" * 5000, "%", "%%", "'", '"', "\\", "a,b", "a.b", "..", "../../etc/passwd",
)  # fmt: skip
OPERATORS = (
    "eq", "neq", "gt", "gte", "lt", "lte", "in", "is", "EQ", "like", "not.eq", "is.not", "eq.eq", "", "or", "cs", "fts",
)  # fmt: skip
PARAMETERS = (
    "start", "end", "tz", "last", "columns", "order", "limit", "snapshot", "after", "every", "select", "offset",
    "callback",
)  # fmt: skip
TIMED = {
    "tz": (
        "UTC",
        "Europe/Berlin",
        "../../etc/passwd",
        "/etc/localtime",
        "posix/UTC",
        "utc",
        "Factory",
        "localtime",
        "",
    ),
    "last": ("1s", "15m", "10w", "0s", "-1h", "9999999999d", "1", "h", "1h1m", "3660d", "3661d"),
    "limit": ("0", "1", "10000", "10001", "-1", "1e3", "0x1", "\uff19", "9" * 30),
    "every": ("1", "100ms", "0", "-1", "1h", "0.1s", "NaN", "1e1"),
    "snapshot": ("yes", "no", "NO", "maybe"),
}
HOSTS = (
    "localhost",
    "127.0.0.1:80",
    "evil.example",
    "",
    "localhost\0",
    "[::1",
    "a" * 300,
    "localhost:99999999",
    "\xff",
)
ACCEPTS = (
    None, "", "*/*", "application/json", "text/event-stream", "text/event-stream;q=0.1,*/*", "text/*;q=x", "a/b;q=",
    ";", ",,",
    "application/json;q=0", "*", "text/event-stream;" * 200, "\xff/\xfe", "text/event-stream\0",
)  # fmt: skip


class Generator:
    """Requests from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.cursors = ["a", "", "~", "!", "a" * 3000]

    def one(self, choices):
        return self.random.choice(choices)

    def often(self, probability: float) -> bool:
        return self.random.random() < probability

    def garbage(self) -> str:
        kind = self.random.randrange(4)
        if kind == 0:
            return self.one(INJECTIONS)
        if kind == 1:
            return self.one(VALUES)
        if kind == 2:
            return "".join(chr(self.random.randrange(1, 0x2FF)) for _ in range(self.random.randrange(12)))
        return self.one(INJECTIONS) + self.one(VALUES)

    def value(self) -> str:
        return self.one(VALUES) if self.often(0.8) else self.garbage()

    def name(self) -> str:
        name = (
            self.one((*COLUMNS, "nothing", "ctid", "xmin", "tableoid", "t", "*", ""))
            if self.often(0.9)
            else self.garbage()
        )
        return '"' + name.replace('"', '""') + '"' if self.often(0.2) or name in PARAMETERS else name

    def condition(self) -> tuple[str, str]:
        """A parameter that is a filter; as often as not all is well but for its value."""
        if self.often(0.5):
            value = self.garbage() if self.often(0.7) else self.one(VALUES)
            if self.often(0.2):
                return self.one(TEXTS), 'in.("{}")'.format(value.replace("\\", "\\\\").replace('"', '\\"'))
            return self.one(TEXTS), f"{self.one(('eq', 'neq', 'lt', 'gte'))}.{value}"
        operator = self.one(OPERATORS)
        value = self.value()
        if operator == "in" and self.often(0.8):
            value = "(" + ",".join(self.value() for _ in range(self.random.randrange(1, 4))) + ")"
        if operator == "is" and self.often(0.8):
            value = self.one(("null", "not_null", "true", "NULL", "unknown"))
        return self.name(), f"{operator}.{value}" if self.often(0.95) else value

    def names(self) -> str:
        if self.often(0.5):
            chosen = self.random.sample([*COLUMNS], 3)
            return ",".join('"' + name.replace('"', '""') + '"' for name in chosen)
        endings = ("", ".desc", ".asc", ".nullslast", ".desc.nullsfirst", ".nope", ".")
        return ",".join(self.name() + self.one(endings) for _ in range(self.random.randrange(1, 4)))

    def parameter(self) -> tuple[str, str]:
        name = self.one(PARAMETERS)
        if name in TIMED and self.often(0.8):
            return name, self.one(TIMED[name])
        if name in ("columns", "order") and self.often(0.8):
            return name, self.names()
        if name == "after" and self.often(0.8):
            return name, self.one(self.cursors)
        return name, self.value()

    def query(self) -> bytes:
        pairs = [
            self.condition() if self.often(0.6) else self.parameter() for _ in range(self.one((0, 1, 1, 1, 2, 2, 4)))
        ]
        text = b"&".join(self.encoded(name) + b"=" + self.encoded(value) for name, value in pairs)
        if self.often(0.05):
            text += self.one(
                (b"&", b"&&&=", b"=", b"&id", b"%", b"%zz", b"&%00=%00", b"&id=eq.%ff", b"&\xff\xfe", b"&a;b;c", b"#x")
            )
        # a poll would wait for what never comes
        return text + (b"&" if text else b"") + b"wait=0"

    def encoded(self, text: str) -> bytes:
        data = text.encode("utf-8", "surrogatepass")
        if self.often(0.03):
            return data.replace(b"&", b"").replace(b" ", b"+")  # as it is
        return quote_from_bytes(data, safe="!~*'(),." if self.often(0.5) else "").encode()

    def path(self, table: str) -> bytes:
        if self.often(0.85):
            resource = self.one(("rows", "rows", "changes"))
            named = table if self.often(0.9) else self.garbage()
            return f"/tables/{quote(named.encode('utf-8', 'surrogatepass'), safe='')}/{resource}".encode()
        return self.one(
            (b"/", b"/tables", b"/tables/", b"//", b"/tables//rows", b"/tables/%2f/rows", b"/tables/\xff/rows",
             b"/tables/%00/rows",
             b"/static/../wsgi.py", b"/static/%2e%2e/wsgi.py", b"/readyz", b"/healthz", b"/metrics",
             b"/tables/" + b"a/" * 500 + b"rows",
             b"/tables/a.b.c/changes", b'/tables/"/rows', b"/tables/\r\n/rows", b"/%", b"/tables/x/rows/../../y/rows")
        )  # fmt: skip

    def headers(self) -> dict[str, str]:
        found = {"HTTP_HOST": self.one(HOSTS) if self.often(0.05) else "localhost"}
        accept = self.one(ACCEPTS) if self.often(0.3) else self.one((None, None, "text/event-stream"))
        if accept is not None:
            found["HTTP_ACCEPT"] = accept
        if self.often(0.3):
            found["HTTP_LAST_EVENT_ID"] = self.one(self.cursors) if self.often(0.7) else self.latin(self.garbage())
        if self.often(0.05):
            found |= {
                "HTTP_IF_NONE_MATCH": "*",
                "HTTP_RANGE": "bytes=0-0",
                "HTTP_COOKIE": "\xff",
                "CONTENT_TYPE": "x",
                "CONTENT_LENGTH": "x",
            }
        return found

    @staticmethod
    def latin(text: str) -> str:
        return text.encode("utf-8", "surrogatepass").decode("latin-1").replace("\n", "").replace("\r", "")
