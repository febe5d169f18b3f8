"""The application: settings in, a wired FastAPI out. Beside the command line, alone in building models."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from app import __version__, errors
from app.answer_schemas import ErrorEnvelope
from app.answers import Answers
from app.database import Database
from app.dependencies import Service
from app.errors import Envelope
from app.limits import BodyLimit, Door
from app.observe import Metrics, Observe
from app.routes import (
    classify,
    compat,
    embeddings,
    health,
    label_calibration,
    label_examples,
    label_sets,
    models,
)
from app.routes.docs import docs_router
from app.routes.page import page_router
from app.settings import Settings
from models.errors import ModelUnavailable

if TYPE_CHECKING:
    from models import LoadOptions
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
    door = Door(max_slots=settings.max_slots, request_timeout_s=settings.request_timeout_s)
    loaded: dict[str, Classifier] = {}
    metrics.watch(lambda: loaded)
    metrics.gauge("candid_slots_taken", "Requests being worked on.", lambda: door.taken)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        loaded.update(classifiers if classifiers is not None else await asyncio.to_thread(load_all, settings))
        try:
            yield {"service": Service(settings, door, loaded, int(time.time()), Answers(db))}
        finally:
            if classifiers is None:
                for classifier in loaded.values():
                    await asyncio.to_thread(classifier.close)
            loaded.clear()
            await asyncio.to_thread(db.close)

    app = FastAPI(
        title="Candid",
        version=__version__,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        openapi_url="/openapi.json" if settings.docs else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={"default": {"model": ErrorEnvelope, "description": "Any error, always in this shape."}},
    )
    app.state.settings, app.state.door, app.state.metrics = settings, door, metrics
    errors.install(app)
    _wrap(app, settings, metrics)
    for room in (classify, embeddings, label_sets, label_examples, label_calibration, models, health):
        app.include_router(room.router)
    for name in settings.compat:
        app.include_router(compat.ROUTERS[name])
    if settings.page:
        app.include_router(page_router())
    if settings.docs:
        app.include_router(docs_router())
    return app


def _wrap(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """Middleware, innermost first: what is added later stands further out."""
    app.add_middleware(
        BodyLimit, max_body_bytes=settings.max_body_bytes, max_buffer_bytes=settings.max_buffer_bytes
    )
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


def load_all(settings: Settings) -> dict[str, Classifier]:
    """Load every model that the settings name. Raises ModelUnavailable when one cannot be had."""
    from models import load

    options = load_options(settings)
    loaded: dict[str, Classifier] = {}
    for spec in settings.specs:
        classifier = load(spec, options)
        name = classifier.info.name
        if name in loaded:  # two directories whose last parts are equal
            raise ModelUnavailable(
                f"model {spec!r} would be called {name!r}, like another one that is loaded: requests could "
                "not tell them apart; rename one of the directories"
            )
        loaded[name] = classifier
    return loaded


def kept_in(chosen: str | None, default: str) -> Path:
    """The directory that a setting names, or the default one where the user's programs keep what can be made
    again."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    cache = Path(base) if base else Path.home() / ".cache"
    return Path(chosen) if chosen else cache / "candid" / default


def load_options(settings: Settings) -> LoadOptions:
    """The settings as the CLIP wing wants them."""
    from models import LoadOptions
    from models.classifier import ServingOptions
    from models.image import ImageLimits

    serving = ServingOptions(
        limits=ImageLimits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_pixels),
        exact_decode=settings.exact_decode,
        decode_threads=settings.decode_threads,
        max_batch=settings.max_batch,
        max_queue=settings.max_queue,
        text_cache_bytes=settings.text_cache_bytes,
        text_store_dir=kept_in(settings.text_store_dir, "texts"),
        image_cache_bytes=settings.image_cache_bytes,
    )
    return LoadOptions(
        device=settings.device,
        precision=settings.precision,
        cache_dir=settings.cache_dir,
        encoder=settings.encoder,
        encoder_dir=kept_in(settings.encoder_dir, "encoders"),
        serving=serving,
    )
