"""What a subscriber is told, from a change to the bytes of the event stream.

Nouns: event, lens, frame, ring, event stream format (SSE).
Imported by ``live`` and ``delivery``. Imports ``tables``, ``log`` and ``query``; it never waits and never reads.
Start at ``event.py``; ``sse.py`` writes the bytes, ``ring.py`` keeps them ready.
"""
