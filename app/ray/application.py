"""`app.ray.application:application`, which deploy/ray/serve.yaml names: Candid as deployments of Ray Serve.

    HTTP ─ Serve's proxy ─ ingress replicas: the whole app; parse, decode, resize, score
                             ├─ pictures ─ encoder replicas: towers, batches
                             └─ texts ─ text cache ─┘

An encoder replica has Candid's own queue: it batches what is there, as `candid serve` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ray import serve
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.logging import configure_logging
from app.main import create_app
from app.model_loading import by_name, classifier_around
from app.ray.calls import call
from app.ray.encoders import EncoderReplica, TextCache
from app.ray.remote_runner import RemoteRunner
from app.settings import Settings

if TYPE_CHECKING:
    from models.classifier import Classifier

START_S: Final = 600.0
"""For the encoder replicas to load their model, a download included."""


class Ingress:
    """One replica of the HTTP service. `models`: handles of the encoders and the text cache of each."""

    def __init__(self, settings: Settings, models: Sequence[tuple[Any, Any]]) -> None:
        configure_logging(settings.log_level)
        self._settings, self._models = settings, models
        self._classifiers: Mapping[str, Classifier] = {}

    async def _classifier(self, encoders: Any, texts: Any) -> Classifier:
        described, best_batch = await call(encoders, "describe", give_up_s=START_S)
        loop = asyncio.get_running_loop()
        runner = RemoteRunner(described.info.encoder, best_batch, encoders, texts, loop)
        return await asyncio.to_thread(classifier_around, self._settings, described, runner)

    async def __serve_build_asgi_app__(self) -> ASGIApp:
        made = await asyncio.gather(*(self._classifier(*handles) for handles in self._models))
        self._classifiers = by_name(self._settings, made)
        return WithState(create_app(self._settings, self._classifiers))

    async def check_health(self) -> None:
        """Serve replaces this replica when it raises; that of an encoder's is the encoder's own."""
        for name, classifier in self._classifiers.items():
            if lost := classifier.lost():
                raise RuntimeError(f"the worker of {name} has died: {lost}")


class WithState:
    """ASGI: gives each request the lifespan's state, which Serve does not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._state: dict[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = self._state if scope["type"] == "lifespan" else dict(self._state)
        await self._app(scope, receive, send)


def application(args: dict[str, Any]) -> Any:
    """Settings by their names, over those of the environment, to what `serve run` and `serve deploy` take."""
    settings = Settings(**args)
    models: list[tuple[Any, Any]] = []
    for spec in settings.specs:
        ending = f"-{len(models) + 1}" if models else ""
        encoders = serve.deployment(EncoderReplica, name=f"encoders{ending}").bind(settings, spec)
        texts = serve.deployment(TextCache, name=f"texts{ending}").bind(settings, encoders)
        models.append((encoders, texts))
    return serve.deployment(serve.ingress()(Ingress), name="ingress").bind(settings, models)
