"""The application for any WSGI server: ``gunicorn wsgi``, ``waitress-serve wsgi:application``."""

from sseapp.wsgi import app, application

__all__ = ["app", "application"]
