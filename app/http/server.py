"""uvicorn's server with what it lacks: a drain without loss.

uvicorn closes connections whose request is still on the wire when it shuts down, and ends by its signal
instead of with status 0. And a service whose model cannot answer any more ends with status 1, for whoever
runs it to start it again. Knows no route; of a model it knows only whether it is lost.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from app.http.admission import Admission
from app.http.origins import Hosts
from app.http.protocol import BoundedProtocol, Bounds
from app.http.sockets import turn_away_new_connections
from app.settings import Settings

logger = logging.getLogger(__name__)

LAST_CALL_S: Final = 0.3
"""How long idle connections stay open after SIGTERM: time for a request that is on the wire already."""
DRAIN_STALL_S: Final = 3.0
"""While it drains, a caller takes its answer within this time instead of `send_timeout_s`."""
LOST_S: Final = 5.0
"""How long a service that has lost a model says so on /readyz before it ends: a balancer's look or two."""


class Server(uvicorn.Server):
    """SIGTERM: not ready at once, no new connections, answer everything accepted, end with status 0.

    `lost` says why the service cannot go on, or None: then the same, but with status 1 and after LOST_S.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        admission: Admission,
        lost: Callable[[], str | None],
        listening: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._admission = admission
        self._lost, self._listening = lost, listening
        self._lost_since: float | None = None  # time.monotonic()

    @property
    def status(self) -> int:
        """What the process ends with."""
        return 0 if self._lost_since is None else 1

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listening()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if self._lost_since is None and (why := self._lost()) is not None:
            self._lost_since = time.monotonic()
            self._admission.draining = True
            logger.critical("%s; the process ends in %g s, to be started again", why, LOST_S)
        if self._lost_since is not None and time.monotonic() >= self._lost_since + LOST_S:
            self.should_exit = True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Not handed on to uvicorn, which would raise the signal again after a clean end.
        self._admission.draining = True
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        started = time.monotonic()
        self._admission.draining = True
        for server in self.servers:
            for listener in server.sockets:
                turn_away_new_connections(listener)
        for connection in self.server_state.connections:
            if isinstance(connection, BoundedProtocol):
                connection.hurry(DRAIN_STALL_S)
        # uvicorn's own shutdown resets connections that are not accepted yet and closes those that have no
        # request yet, though one may be on the wire.
        await asyncio.sleep(LAST_CALL_S)
        left = (self.config.timeout_graceful_shutdown or 0) - (time.monotonic() - started)
        self.config.timeout_graceful_shutdown = max(1, round(left))
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):  # after a second SIGINT, or the deadline
            if isinstance(connection, BoundedProtocol):
                connection.cut_off()


def serve(
    app: FastAPI,
    settings: Settings,
    lost: Callable[[], str | None] = lambda: None,
    *,
    listening: Callable[[], None] = lambda: None,
    sockets: list[socket.socket] | None = None,
) -> int:
    """Answer until a signal ends it, or until a model is lost; the process's exit status.

    On `sockets` that are bound, in place of the settings' address; `listening` is called once it listens.
    """
    state = app.state
    bounds = Bounds(
        admission=state.admission,
        buffer=state.buffer,
        metrics=state.metrics,
        hosts=Hosts(settings.hosts, addresses=bool(settings.allowed_hosts)),
        cross_origin=bool(settings.cors_origins),
        receipt_timeout_s=settings.receipt_timeout_s,
        send_timeout_s=settings.send_timeout_s,
    )
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=partial(BoundedProtocol, bounds=bounds),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_timeout_s,
        timeout_graceful_shutdown=settings.shutdown_timeout_s,
    )
    server = Server(config, state.admission, lost, listening)
    server.run(sockets)
    return server.status
