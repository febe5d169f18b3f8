"""What an operator sees of a request: its id, one JSON line, its place in the metrics.

Labelled by the route's template, never by path, label, file name or key: whatever callers send, no new series
appears and no line breaks. Knows nothing of the routes; the models' counters come through `Classifier.stats`.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

access = logging.getLogger("candid.access")

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED: Final = "unmatched"
MAX_CLIENT_CHARS: Final = 64
"""Of an address: IPv6 has 45, and a proxy's X-Forwarded-For may hold anything."""
# Seconds: an embedding from the cache takes 2 ms, a deadline is 30 s.
BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Counting(Protocol):
    """What the metrics need of a classifier."""

    def stats(self) -> dict[str, float]: ...


class Metrics:
    """The service's own registry; nothing global, so two applications in one process do not collide."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "candid_requests",
            "Requests answered.",
            ("method", "route", "status", "code"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "candid_request_seconds",
            "Time to the last byte.",
            ("route",),
            registry=self.registry,
            buckets=BUCKETS,
        )
        self.in_flight = Gauge("candid_requests_in_flight", "Requests under way.", registry=self.registry)
        ProcessCollector(registry=self.registry)

    def gauge(self, name: str, description: str, value: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        Gauge(name, description, registry=self.registry).set_function(value)

    def watch(self, classifiers: Callable[[], Mapping[str, Counting]]) -> None:
        """Export the counters of every loaded model."""
        self.registry.register(_Models(classifiers))


class _Models(Collector):
    def __init__(self, classifiers: Callable[[], Mapping[str, Counting]]) -> None:
        self._classifiers = classifiers

    def collect(self) -> Iterable[Metric]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for model, classifier in self._classifiers().items():
            for key, value in classifier.stats().items():
                kind = CounterMetricFamily if key.endswith("_total") else GaugeMetricFamily
                text = key.removesuffix("_total").replace("_", " ").capitalize() + "."
                family = families.setdefault(key, kind(f"candid_{key}", text, labels=("model",)))
                family.add_metric((model,), value)
        return families.values()


class Observe:
    """ASGI, outermost: gives every request an id, counts it, times it, and writes its line."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status, sent = 500, 0
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id

        async def watched(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            sent += len(message.get("body", b""))
            await send(message)

        try:
            with self._metrics.in_flight.track_inprogress():
                await self.app(scope, receive, watched)
        finally:
            self._record(scope, status, sent, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, sent: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = route_of(scope)
        code = scope["state"].get("error_code", "")
        self._metrics.requests.labels(method, route, str(status), code).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if access.isEnabledFor(logging.INFO):
            client = scope.get("client")
            fields = {
                "request_id": scope["state"]["request_id"],
                "client": client[0][:MAX_CLIENT_CHARS] if client else None,
                "method": method,
                "route": route,
                "status": status,
                "code": code or None,
                "ms": round(seconds * 1e3, 1),
                "bytes": sent,
            }
            access.info("request", extra={"fields": fields})


def route_of(scope: Scope) -> str:
    """The template of the route that was taken ("/v1/label-sets/{name}"), never the path that was sent."""
    template = getattr(scope.get("route"), "path", None)
    return template if isinstance(template, str) and template else UNMATCHED


def _request_id(scope: Scope) -> str:
    """The caller's own id where it is harmless, else a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
