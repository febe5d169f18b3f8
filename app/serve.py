"""`candid serve`: load the models, then answer until a signal ends it."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterable, Mapping
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from fastapi import FastAPI

from app.http.logging import configure_logging
from app.http.server import serve
from app.http.sockets import allow_many_connections
from app.model_loading import load_all
from app.settings import Settings, unknown_names
from models.errors import CandidError

if TYPE_CHECKING:
    from models.classifier import Classifier

logger = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Load the models, then answer until a signal ends it; the process's exit status."""
    # Importing makes some hundred thousand objects, and all of them stay: to look for garbage among them
    # again and again took a fifth of the start.
    gc.disable()
    begin(settings)
    allow_many_connections()
    try:
        classifiers = load_all(settings)
    except CandidError as error:
        logger.critical(error.message)
        return 1
    return answer(settings, classifiers)


def begin(settings: Settings) -> None:
    """What the service's first process does first: it can write its log, be ended, and warn."""
    configure_logging(settings.log_level)
    signal.signal(signal.SIGTERM, end_early)
    for name, meant in unknown_names(os.environ).items():
        logger.warning("%s is no setting%s", name, f"; did you mean {meant}?" if meant else "")


def lost_among(reasons: Iterable[tuple[str, str | None]]) -> str | None:
    """Why the service cannot go on, of each model's name and why its worker has died; None: it can."""
    return next((f"the worker of {name} has died: {reason}" for name, reason in reasons if reason), None)


def answer(
    settings: Settings,
    classifiers: Mapping[str, Classifier],
    *,
    adapt: Callable[[FastAPI], None] = lambda app: None,
    listening: Callable[[], None] = lambda: None,
    sockets: list[socket.socket] | None = None,
) -> int:
    """Answer with these until a signal ends it, or until one is lost; close them; the process's exit status.

    `adapt` may change the application before it answers; the others as `app.http.server.serve` has them.
    """
    from app.main import create_app

    def lost() -> str | None:
        return lost_among((name, classifier.lost()) for name, classifier in classifiers.items())

    try:
        try:
            app = create_app(settings, classifiers)
        except CandidError as error:
            logger.critical(error.message)
            return 1
        adapt(app)
        gc.freeze()  # modules and models stay as long as the process: no later search walks through them
        gc.enable()
        return serve(app, settings, lost, listening=listening, sockets=sockets)
    finally:
        for classifier in classifiers.values():
            classifier.close()


def end_early(number: int, frame: FrameType | None) -> NoReturn:
    """Until uvicorn listens for signals. Process 1 of a container has no default: it would go on loading."""
    raise SystemExit(0)
