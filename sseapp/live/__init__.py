"""The running part of one process: from the log to the streams that a change concerns.

Nouns: listener, hub, stream, channel, live result, replay.
Imported by ``delivery`` and above. Imports ``postgres`` and the pure packages.
Start at ``listener.py``, then ``hub.py``; ``replay.py`` is what a subscriber missed.
"""
