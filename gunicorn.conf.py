"""The settings for ``gunicorn wsgi`` in this folder: see sseapp/gunicorn.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # gunicorn reads this file before it can import from its folder
from sseapp.gunicorn import *  # noqa: F403
