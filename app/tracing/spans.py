"""OpenTelemetry: a span for each request and for its steps, sent by OTLP. On where OTEL_* names an endpoint.

Its own variables configure it (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, …). The
request's span is FastAPI's own; nothing of the SDK is imported without an endpoint, and the rest of Candid
knows only `steps`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any, Final

from fastapi.telemetry import TelemetryConfig
from opentelemetry.trace import TracerProvider, format_span_id, format_trace_id, get_current_span
from starlette.types import ASGIApp, Receive, Scope, Send

from app import __version__
from app.extras import ExtraMissing
from app.tracing.steps import Steps, traced

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
UNTRACED: Final = frozenset({"/healthz", "/readyz", "/metrics"})
FLUSH_S: Final = 3.0
"""At the end, for spans that are not sent yet: a collector that is away holds up nobody."""


def provider() -> TracerProvider | None:
    """What makes spans and sends them; None where no endpoint is named. Raises ExtraMissing."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if disabled or not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ExtraMissing("traces need OpenTelemetry: pip install 'candid[traces]'") from error

    about = {"service.name": os.environ.get("OTEL_SERVICE_NAME") or "candid", "service.version": __version__}
    made = TracerProvider(resource=Resource.create(about))
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    for handler in logging.getLogger().handlers:
        handler.addFilter(_with_ids)
    return made


def telemetry(provider: TracerProvider | None) -> TelemetryConfig:
    """What FastAPI is to do of it: one span a request, but for those that only look whether it is well."""
    return TelemetryConfig(
        tracer_provider=provider,
        tracing=provider is not None,
        operation_spans=False,
        metrics=False,
        logs=False,
        auto_configure=False,
        exclude=lambda scope: scope["path"] in UNTRACED,
    )


def end(provider: Any) -> None:
    """Send what is left."""
    flushing = threading.Thread(target=provider.shutdown, daemon=True)
    flushing.start()
    flushing.join(FLUSH_S)


class Traced:
    """ASGI, within the request's span: its steps become spans once it has ended."""

    def __init__(self, app: ASGIApp, *, provider: TracerProvider) -> None:
        self.app = app
        self._tracer = provider.get_tracer("candid", __version__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not get_current_span().is_recording():
            await self.app(scope, receive, send)
            return
        steps = Steps()
        token = traced.set(steps)
        try:
            await self.app(scope, receive, send)
        finally:
            traced.reset(token)
            since_1970 = time.time_ns() - time.monotonic_ns()
            for name, began, ended, attributes in steps.noted:
                span = self._tracer.start_span(
                    name,
                    start_time=since_1970 + round(began * 1e9),
                    attributes={f"candid.{key}": value for key, value in attributes.items()},
                )
                span.end(since_1970 + round(ended * 1e9))


def _with_ids(record: logging.LogRecord) -> bool:
    """Gives each line of the log the ids of the span that it was written in."""
    context = get_current_span().get_span_context()
    if context.is_valid:
        record.trace_id = format_trace_id(context.trace_id)
        record.span_id = format_span_id(context.span_id)
    return True
