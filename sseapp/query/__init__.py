"""What a subscriber asks of a table, from the parameters of a request to the test of a row.

Nouns: query, parameter, condition, operator, filter, filter index, interval, window.
Imported by ``events`` and above. Imports ``tables`` and ``log``; it does no I/O and never waits.
Start at ``query.py``; ``filters.py`` matches a row, ``filter_index.py`` finds the filters that a row matches.
"""
