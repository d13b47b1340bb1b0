"""From a stream to a client: catch up, stay live, heartbeat, bye; and the long poll.

Nouns: services, subscription, progress, client, group, broadcaster, long poll, stream limit.
Imported by ``process`` and the faces (``views``, ``cli``). Imports ``live`` and below.
Start at ``subscription.py``; ``broadcaster.py`` is where a slow client is cut.
"""
