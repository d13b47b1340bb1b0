"""What the change log holds and how a reader keeps its place in it.

Nouns: log, change, batch, snapshot, cursor, pace (when to wait for NOTIFY and when to poll), lease, fence.
Imported by every package above. Imports only ``tables``; it never waits and never reads.
Start at ``cursor.py``: its head is the rule by which nothing is lost and nothing is sent twice.
"""
