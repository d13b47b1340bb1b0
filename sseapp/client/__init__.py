"""A client of event streams for Python programs: it keeps following, whatever breaks.

Nouns: follower, change, event stream parser, rows. Standard library only; with gevent's monkey-patching it is green.
Imported by nobody here. Imports ``errors`` and ``backoff``.
Start at ``follower.py``::

    from sseapp.client import follow

    for change in follow("http://localhost:8000/tables/orders/changes"):
        print(change.event, change.row)
"""

from sseapp.client.change import Change
from sseapp.client.follower import Follower, follow
from sseapp.client.rows import Rows

__all__ = ["Change", "Follower", "Rows", "follow"]
