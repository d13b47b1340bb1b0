# For mod_wsgi: its SetEnv does not reach the environment of the process, so the settings are here.
import os

os.environ["DATABASE_URL"] = "postgresql://user:password@localhost/mydb"
os.environ["SSEAPP_HOSTS"] = "live.example.com"
os.environ["SSEAPP_THREADS"] = "50"

from sseapp.wsgi import application
