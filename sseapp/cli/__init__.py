"""The command line: ``python -m sseapp``, and the same commands under ``flask --app wsgi``.

Nouns: command, watch options, status, doctor, demo.
Imported by ``__main__`` and ``create_app``. Imports every package below.
Start at ``commands.py``.
"""
