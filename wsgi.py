"""The application for any WSGI host: ``gunicorn wsgi``, ``waitress-serve wsgi:application``."""

import sys

from sseapp import create_app
from sseapp.errors import SettingError

try:
    application = create_app()
except SettingError as error:
    sys.stderr.write(f"{error.detail}\n")
    sys.exit(3)  # to gunicorn: a worker that cannot boot, so that it does not start another
app = application
