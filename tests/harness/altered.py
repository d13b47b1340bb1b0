"""The application with something of it changed, in a process of its own: what a test breaks, or takes out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.clusters import scratch

_REST = """
from sseapp import create_app

application = create_app()
"""


@contextmanager
def altered(code: str) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A folder, and gunicorn's options that make it take its ``wsgi`` from there: ``code``, then the application.

    ``code`` may name the folder by ``FOLDER``.
    """
    folder = scratch()
    (folder / "wsgi.py").write_text(f"from pathlib import Path\n\nFOLDER = Path({str(folder)!r})\n{code}\n{_REST}")
    try:
        yield folder, ("--chdir", str(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
