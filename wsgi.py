"""The application for any WSGI host: ``gunicorn wsgi``, ``waitress-serve wsgi:application``."""

from sseapp import create_app

application = create_app()
app = application
