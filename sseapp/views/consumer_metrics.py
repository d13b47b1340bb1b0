"""What ``/metrics`` tells of consumers: the same from every process, as the database knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from sseapp.errors import SseappError
from sseapp.postgres import consumer_state
from sseapp.postgres.consumer_state import ConsumerStatus
from sseapp.postgres.database import Database


def families(database: Database) -> Iterator[Metric]:
    """A gauge for each of lag, running and failing; none while the database cannot be reached."""
    try:
        consumers = database.run(consumer_state.status)
    except SseappError:
        return
    values: dict[str, tuple[str, Callable[[ConsumerStatus], float]]] = {
        "lag_seconds": ("Age of the oldest change that a consumer has not consumed.", lambda one: one.lag),
        "running": ("1 where a process runs the consumer.", lambda one: float(one.pid is not None)),
        "failing": ("1 where its function raised when it was last called.", lambda one: float(one.error is not None)),
    }
    for name, (meaning, value) in values.items():
        family = GaugeMetricFamily(f"sseapp_consumer_{name}", meaning, labels=["consumer"])
        for one in consumers:
            family.add_metric([one.name], value(one))
        yield family
