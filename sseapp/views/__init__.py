"""The HTTP side: one module for each concern, each with an ``init_app``.

Nouns: the two resources (``api``), dashboard, operations, problems (RFC 9457), caching, allowed hosts.
Imported by ``LiveTables`` and ``create_app``. Imports every package below.
Start at ``api.py``; ``blueprint.py`` puts the concerns together. A check of the caller (a token) belongs beside
``allowed_hosts.py``: it runs before any view.
"""
