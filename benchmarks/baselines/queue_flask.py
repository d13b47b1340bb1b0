"""What one writes by hand on Flask: a queue a client, filled by the thread that listens. No cursor, no filter."""

import os
import queue
import select
import threading
from collections.abc import Iterator

import psycopg2
from flask import Flask, Response

application = Flask(__name__)
clients: set["queue.Queue[bytes]"] = set()
started = threading.Lock()


def listen() -> None:
    """Put each notification into every queue."""
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    connection.autocommit = True
    connection.cursor().execute("LISTEN payload")
    while True:
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN)
        poller.poll()
        connection.poll()
        while connection.notifies:
            frame = f"event: insert\ndata: {connection.notifies.pop(0).payload}\n\n".encode()
            for client in list(clients):
                client.put(frame)


@application.get("/")
def stream() -> Response:
    """The stream of one client."""
    if started.acquire(blocking=False):
        threading.Thread(target=listen, daemon=True).start()
    mine: queue.Queue[bytes] = queue.Queue()
    clients.add(mine)

    def frames() -> Iterator[bytes]:
        yield b"retry: 2000\n\n"
        try:
            while True:
                yield mine.get()
        finally:
            clients.discard(mine)

    return Response(frames(), content_type="text/event-stream")
