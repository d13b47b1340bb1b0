"""For those who run it: is it alive, is it listening, and what does it count."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

from flask import Blueprint, Flask, Response, current_app, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sseapp.log.pace import Mode
from sseapp.process import Process, Runtime

_operations = Blueprint("operations", __name__)
_START = 1.0  # seconds that a first request waits for the listener


def init_app(app: Flask) -> None:
    """Serve the three addresses."""
    app.register_blueprint(_operations)


@_operations.get("/healthz")
def healthz() -> Response:
    """Whether the process answers."""
    return jsonify(status="ok")


@_operations.get("/readyz")
def readyz() -> Response:
    """Whether the listener listens, for how many seconds it has heard nothing of the log, and at which pace it goes."""
    runtime = _runtime()
    runtime.listener.begun.wait(_START)
    listener = runtime.listener
    listening = listener.error is None and not runtime.closing.is_set()
    behind = round(monotonic() - listener.seen_at, 3)
    response = jsonify(listening=listening, behind=behind, pace=listener.pace.mode, error=listener.error)
    response.status_code = 200 if listening else 503
    return response


@_operations.get("/metrics")
def metrics() -> Response:
    """The counters of the process that answers, in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Counters(_runtime()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _runtime() -> Runtime:
    process: Process = current_app.extensions["sseapp"]
    return process.runtime()


class _Counters(Collector):
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        listener, stream_limit = self._runtime.listener, self._runtime.stream_limit
        gauges = {
            "listening": ("Whether the listener listens.", float(listener.error is None)),
            "behind_seconds": ("Since the log was last read.", monotonic() - listener.seen_at),
            "streams_open": ("StreamLimit taken: open event streams, long polls that wait.", stream_limit.open),
            "streams_limit": ("StreamLimit for event streams.", stream_limit.limit),
            "channels": ("Distinct queries that streams ask.", len(self._runtime.hub.streams)),
        }
        counters = {
            "batches": ("Batches read from the log.", listener.batches),
            "changes": ("Changes read from the log.", listener.changes),
            "damaged": ("Changes that could not be read as they are in the log.", listener.damaged),
            "failures": ("Batches of a table that could not be matched or encoded.", self._runtime.hub.failures),
            "reconnects": ("Times the listener lost the database.", listener.reconnects),
            "streams_refused": ("Streams refused for want of a place.", stream_limit.refused),
            "streams_cut": ("Clients cut because they took nothing for too long.", stream_limit.cut),
        }
        pace = GaugeMetricFamily(
            "sseapp_pace", "1 for what the listener does: it waits for NOTIFY or polls.", labels=["mode"]
        )
        for mode in Mode:
            pace.add_metric([mode], float(mode is listener.pace.mode))
        yield pace
        for name, (meaning, value) in gauges.items():
            yield GaugeMetricFamily(f"sseapp_{name}", meaning, value)
        for name, (meaning, value) in counters.items():
            yield CounterMetricFamily(f"sseapp_{name}", meaning, value)
