"""What a watched table looks like, and what the values of its columns mean.

Nouns: table, column, value type, literal, row JSON, time zone.
Imported by every package above. Imports only the modules of the ground floor; it does no I/O and never waits.
Start at ``table.py``; ``column_types.py`` says which type a column has.
"""
