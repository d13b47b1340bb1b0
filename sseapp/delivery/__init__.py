"""From a stream to a client: catch up, stay live, heartbeat, bye; and the long poll.

Nouns: services, subscription, progress, client, group, broadcaster, long poll, stream limit.
Imported by ``process`` and the faces (``views``, ``cli``). Imports ``live`` and below.
Start at ``changes_stream.py``; ``broadcaster.py`` writes the live part to all clients.
"""
