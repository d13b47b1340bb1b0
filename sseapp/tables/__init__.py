"""What a watched table looks like, and what the values of its columns mean.

Nouns: table, column, value type, literal, row JSON, time zone.
Imported by every package above. Imports only ``errors`` and ``messages``; it never waits and never reads.
Start at ``table.py``; ``column_types.py`` says which type a column has.
"""
