"""The command line: ``python -m sseapp``, and the same commands under ``flask --app wsgi``.

Nouns: command, demo, doctor.
Imported by ``__main__`` and ``create_app``. Imports every package below.
Start at ``commands.py``.
"""
