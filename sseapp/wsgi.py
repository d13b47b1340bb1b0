"""The application for any WSGI server, with settings from the environment."""

import sys

from sseapp.application import create_app
from sseapp.errors import SettingError

try:
    application = create_app()
except SettingError as error:
    sys.stderr.write(f"{error.detail}\n")
    sys.exit(3)  # gunicorn's status for a worker that cannot boot: it then starts no other
app = application
