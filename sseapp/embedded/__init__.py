"""The embedded PostgreSQL: a server of the project folder's own, for a start without DATABASE_URL.

Nouns: server, cluster, account, folder lock, child process, supervisor.
Imported by ``process`` and ``cli``. Imports only ``errors``.
Start at ``server.py``.
"""
