"""Everything that talks to PostgreSQL: the only package that runs SQL.

Nouns: connection, schema (install and watch), catalog, change log, snapshot of rows, shape check, pruner.
Imported by ``live`` and above. Imports the pure packages and ``concurrency``; the SQL is in ``sseapp/sql``.
Start at ``change_log.py``; ``database.py`` turns driver errors into ours, ``filter_sql.py`` a filter into SQL.
"""
