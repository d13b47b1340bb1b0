"""The embedded PostgreSQL: a server in the project's folder, used when DATABASE_URL is unset.

Nouns: server, cluster, account, folder lock, child process, supervisor.
Imported by ``process`` and ``cli``. Imports only ``errors``.
Start at ``server.py``.
"""
