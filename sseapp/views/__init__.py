"""What HTTP shows: one module for each concern, with an ``init_app`` each.

Nouns: the two resources (``api``), dashboard, operations, problems (RFC 9457), caching, allowed hosts.
Imported by ``create_app``. Imports every package below.
Start at ``api.py``; a check of who asks stands beside ``allowed_hosts.py``, before any view.
"""
