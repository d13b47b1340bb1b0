"""For operators: health, readiness, metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from time import monotonic

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sseapp.log.pace import Mode
from sseapp.process import Runtime
from sseapp.views import allowed_hosts, consumer_metrics, current

_operations = Blueprint("operations", __name__)
_START = 1.0  # seconds that the first request waits for the listener


def init_app(root: Blueprint) -> None:
    """Serve ``/healthz``, ``/readyz`` and ``/metrics``."""
    root.register_blueprint(_operations)


@_operations.get("/healthz")
def healthz() -> Response:
    """Answer while the process lives."""
    return _json(status="ok")


@_operations.get("/readyz")
def readyz() -> Response:
    """Whether the listener is connected (503 if not); to a host that we serve also its mode and lag in seconds."""
    runtime = current.runtime()
    runtime.listener.begun.wait(_START)
    listener = runtime.listener
    listening = listener.error is None and not runtime.closing.is_set()
    if allowed_hosts.is_allowed():
        behind = round(monotonic() - listener.seen_at, 3)
        response = _json(listening=listening, behind=behind, pace=listener.pace.mode, error=listener.error)
    else:
        response = _json(listening=listening)
    response.status_code = 200 if listening else 503
    return response


def _json(**members: object) -> Response:
    """Written by the standard library, whatever the application's own way with JSON is."""
    return Response(json.dumps(members) + "\n", content_type="application/json")


@_operations.get("/metrics")
def metrics() -> Response:
    """The metrics of the process that answers, in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Metrics(current.runtime()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Metrics(Collector):
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        listener, stream_limit = self._runtime.listener, self._runtime.stream_limit
        gauges = {
            "listening": ("1 if the listener is connected.", float(listener.error is None)),
            "behind_seconds": ("Seconds since the log was last read.", monotonic() - listener.seen_at),
            "streams_open": ("Open event streams and waiting long polls.", stream_limit.open),
            "streams_limit": ("Most event streams and waiting long polls at a time.", stream_limit.limit),
            "channels": ("Distinct queries of the open streams.", len(self._runtime.hub.streams)),
        }
        counters = {
            "batches": ("Batches read from the log.", listener.batches),
            "changes": ("Changes read from the log.", listener.changes),
            "damaged": ("Changes that could not be read as they are in the log.", listener.damaged),
            "failures": ("Batches of a table that could not be matched or encoded.", self._runtime.hub.failures),
            "reconnects": ("Times the listener lost its connection.", listener.reconnects),
            "streams_refused": ("Streams and long polls refused because the limit was reached.", stream_limit.refused),
            "streams_cut": ("Clients disconnected because they took nothing for too long.", stream_limit.cut),
        }
        pace = GaugeMetricFamily(
            "sseapp_pace", "1 for the listener's mode: it waits for NOTIFY (quiet) or polls.", labels=["mode"]
        )
        for mode in Mode:
            pace.add_metric([mode], float(mode is listener.pace.mode))
        yield pace
        for name, (meaning, value) in gauges.items():
            yield GaugeMetricFamily(f"sseapp_{name}", meaning, value)
        for name, (meaning, value) in counters.items():
            yield CounterMetricFamily(f"sseapp_{name}", meaning, value)
        if listener.error is None:
            yield from consumer_metrics.families(self._runtime.database)
