"""The application: settings in, a wired FastAPI out. Beside the command line, alone in building models."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from prometheus_client.exposition import generate_latest
from starlette.middleware.cors import CORSMiddleware

from app import __version__
from app.http import errors
from app.http.admission import Admission
from app.http.buffer import BodyLimit, Buffer
from app.http.errors import Envelope
from app.http.metrics import Metrics, Observe
from app.http.origins import CrossSite
from app.model_loading import load_all
from app.routes import classify, compat, embeddings, health, models, vocabularies
from app.routes.dependencies import Service
from app.routes.docs import docs_router
from app.routes.label_sets import calibration, examples, sets
from app.routes.page import page_router
from app.schemas.responses import ErrorEnvelope
from app.service.label_set_scorers import LabelSetScorers
from app.settings import Settings
from app.storage.database import Database
from app.tracing import spans

if TYPE_CHECKING:
    from models.classifier import Classifier

logger = logging.getLogger(__name__)

DESCRIPTION = """Rank any labels for any picture with CLIP models.

Every example on this page works when it is tried. Errors always have the same shape:
`{"error": {"code", "message", "field", "request_id"}}`; `code` is stable."""

TAGS = [
    {"name": "Classify", "description": "Which of these words fits this picture?"},
    {"name": "Embed", "description": "Pictures and words as vectors in one space, to search and compare."},
    {"name": "Label sets", "description": "Labels kept under a name, with examples and calibration."},
    {"name": "Look", "description": "What is loaded."},
    {"name": "Operate", "description": "Health and metrics, for those who run the service."},
]


def create_app(settings: Settings, classifiers: Mapping[str, Classifier] | None = None) -> FastAPI:
    """The service. It loads its models when it starts; ready ones handed in stay the caller's to close."""
    metrics = Metrics()
    db = Database(settings.database_url)
    buffer = Buffer(settings.max_buffer_bytes)
    admission = Admission(max_slots=settings.max_slots, request_timeout_s=settings.request_timeout_s)
    loaded: dict[str, Classifier] = {}
    tracer_provider = spans.provider()
    metrics.watch(lambda: loaded)
    metrics.gauge("candid_slots_taken", "Requests being worked on.", lambda: admission.taken)
    metrics.gauge("candid_buffer_bytes", "Bodies and answers under way.", lambda: buffer.held)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        warming: asyncio.Task[None] | None = None
        loaded.update(classifiers if classifiers is not None else await asyncio.to_thread(load_all, settings))
        try:
            scorers = LabelSetScorers(db)
            if settings.warm_vocabularies:
                warming = asyncio.create_task(scorers.warm(tuple(loaded.values())))
            yield {"service": Service(settings, admission, loaded, int(time.time()), scorers)}
        finally:
            if warming is not None:
                warming.cancel()
                await asyncio.gather(warming, return_exceptions=True)
            if classifiers is None:
                for classifier in loaded.values():
                    await asyncio.to_thread(classifier.close)
            loaded.clear()
            await asyncio.to_thread(db.close)
            if tracer_provider is not None:
                await asyncio.to_thread(spans.end, tracer_provider)

    app = FastAPI(
        title="Candid",
        version=__version__,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        telemetry=spans.telemetry(tracer_provider),
        openapi_url="/openapi.json" if settings.docs else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={"default": {"model": ErrorEnvelope, "description": "Any error, always in this shape."}},
    )
    app.state.settings, app.state.admission, app.state.metrics = settings, admission, metrics
    app.state.buffer = buffer

    async def scrape() -> bytes:
        return generate_latest(metrics.registry)

    app.state.scrape = scrape
    errors.install(app)
    _wrap(app, settings, metrics, buffer)
    if tracer_provider is not None:
        app.add_middleware(spans.Traced, provider=tracer_provider)
    for room in (classify, embeddings, sets, examples, calibration, models, vocabularies, health):
        app.include_router(room.router)
    for name in settings.compat:
        app.include_router(compat.ROUTERS[name])
    if settings.page:
        app.include_router(page_router())
    if settings.docs:
        app.include_router(docs_router())
    return app


def _wrap(app: FastAPI, settings: Settings, metrics: Metrics, buffer: Buffer) -> None:
    """Middleware, innermost first: what is added later stands further out."""
    app.add_middleware(BodyLimit, max_body_bytes=settings.max_body_bytes, buffer=buffer)
    app.add_middleware(CrossSite, origins=settings.cors_origins)
    app.add_middleware(Envelope)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID", "If-Match", "If-None-Match"],
            expose_headers=["X-Request-ID", "ETag", "Retry-After"],
        )
    app.add_middleware(Observe, metrics=metrics)
