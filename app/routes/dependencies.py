"""What a handler may ask for: the loaded models, the settings, admission, a valid key.

Keys are checked here, as a dependency of the routes that need one, and never by path.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from app.http.admission import Admission
from app.http.errors import Unauthorized
from app.schemas.responses import Readiness
from app.service.label_set_scorers import LabelSetScorers
from app.settings import Settings
from app.storage.database import Database
from models.errors import ModelUnavailable, UnknownModel

if TYPE_CHECKING:
    from models.classifier import Classifier

HEALTH_THREADS: Final = 4
"""After a failure each look at a model waits for a real forward of it."""

# Only for the docs page's "Authorize" button: it reads the header as text, and a key may be any bytes.
_scheme = HTTPBearer(auto_error=False, description="One of CANDID_API_KEYS, if the service has any.")


@dataclass(frozen=True, slots=True)
class Service:
    """One running service: what every handler needs."""

    settings: Settings
    admission: Admission
    classifiers: Mapping[str, Classifier]  # by name; the first is the default
    started: int  # seconds since 1970
    scorers: LabelSetScorers = field(
        default_factory=lambda: LabelSetScorers(Database(None))
    )  # opened when asked
    # Health's own: those that everything shares may all be at work for seconds.
    health: Executor = field(default_factory=lambda: ThreadPoolExecutor(HEALTH_THREADS, "candid-health"))

    @property
    def db(self) -> Database:
        """Where the label sets are."""
        return self.scorers.db

    def classifier(self, name: str | None) -> Classifier:
        """The model that a request names; the first when it names none."""
        if not self.classifiers:
            raise ModelUnavailable("no model is loaded")
        if name is None:
            return next(iter(self.classifiers.values()))
        if name not in self.classifiers:
            raise UnknownModel(name[:200], self.classifiers)
        return self.classifiers[name]


async def readiness_of(service: Service) -> Readiness:
    """Whether every model would answer and the service is not shutting down."""
    loop = asyncio.get_running_loop()
    checks = (loop.run_in_executor(service.health, each.ready) for each in service.classifiers.values())
    models = dict(zip(service.classifiers, await asyncio.gather(*checks), strict=True))
    draining = service.admission.draining
    return Readiness(ready=all(models.values()) and not draining, draining=draining, models=models)


async def _service(request: Request) -> Service:
    return cast(Service, request.state.service)


async def _key(request: Request, _: Annotated[object, Security(_scheme)]) -> None:
    keys = request.app.state.settings.api_keys
    if not keys:
        return
    given = next((value for name, value in request.scope["headers"] if name == b"authorization"), b"")
    scheme, _, token = given.partition(b" ")
    # Hashed, so that not even a key's length shows in the time; every key is compared, whichever fits.
    digest = hashlib.sha256(token.strip()).digest()
    fits = [
        hmac.compare_digest(digest, hashlib.sha256(key.get_secret_value().encode()).digest()) for key in keys
    ]
    if scheme.lower() != b"bearer" or not any(fits):
        raise Unauthorized("send one of the service's keys as the header Authorization: Bearer …")


async def _look(service: Annotated[Service, Depends(_service)]) -> None:
    service.admission.look()


ServiceDep = Annotated[Service, Depends(_service)]
KeyDep = Depends(_key)
"""For a route's or router's `dependencies`: 401 without a valid key, when the service has keys."""
RoomDep = Depends(_look)
"""For a route's `dependencies`, after KeyDep: 503 before the body is read when every slot is taken."""
