"""How fast one worker on one core takes connections that stay open, and what each costs it."""

from __future__ import annotations

import time
from functools import partial

from contenders import BARE, Contender, all_of_them, running
from load import Load
from plan import Bench, Plan


def connect(bench: Bench) -> Plan:
    """Against gunicorn alone, which is the limit to whoever runs under it, and against the others.

    Where the generator is busy for less than 0.9 of a second a second, the server was the limit; how many it can open
    at the least is what the fastest of them took.
    """
    clients = bench.scaled(3000)
    title = f"Connecting, {clients} clients that stay, 100 at a time unanswered"
    servers = [BARE, *all_of_them()]
    return Plan(title, {s.name: partial(_connect, bench, s, clients) for s in servers}, BARE.name)


def _connect(bench: Bench, contender: Contender, clients: int) -> dict[str, float]:
    """Until each client is served; the CPU with what is left to do after that."""
    with running(contender, bench.dsn) as server:
        with Load(server, 50):
            pass
        time.sleep(1)
        cpu = server.cpu()
        with Load(server, clients) as load:
            busy = (server.cpu() - cpu) / load.connected
            time.sleep(0.3)
            used = server.cpu() - cpu
    return {
        "connects/s": clients / load.connected,
        "CPU us/connection": 1e6 * used / clients,
        "server busy": busy,
        "generator busy": load.busy,
    }
