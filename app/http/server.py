"""uvicorn with what it lacks: a deadline for receiving a request, a bound on its head, a drain without loss.

uvicorn never times out a half-sent request, answers refusals at this level as plain text, closes connections
whose request is still on the wire when it shuts down, and ends by its signal instead of with status 0. And a
service whose model cannot answer any more ends with status 1, for whoever runs it to start it again. Knows no
route; of a model it knows only whether it is lost.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import time
import uuid
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from types import FrameType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.http.admission import Door
from app.http.errors import CODES, envelope
from app.http.sockets import turn_away_new_connections
from app.settings import Settings

logger = logging.getLogger(__name__)

MAX_HEAD_BYTES: Final = 256 * 1024
"""Request line and headers: a raw picture's query may carry a thousand labels. The parser has no limit."""
LAST_CALL_S: Final = 0.3
"""How long idle connections stay open after SIGTERM: time for a request that is on the wire already."""
LOST_S: Final = 5.0
"""How long a service that has lost a model says so on /readyz before it ends: a balancer's look or two."""


class ReceiptProtocol(HttpToolsProtocol):
    """A connection that has not sent its whole request within the deadline is answered 408 and closed."""

    def __init__(self, *args: Any, door: Door, receipt_timeout_s: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._door = door
        self._receipt_timeout_s = receipt_timeout_s
        self._receipt: asyncio.TimerHandle | None = None
        self._head_bytes: int | None = 0  # of the request that is coming in; None while its body is

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._received()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._receipt is None:
            self._expect()
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if (
            self._head_bytes is not None
            and self._head_bytes > MAX_HEAD_BYTES
            and not self.transport.is_closing()
        ):
            self._refuse(431, f"the request's head is larger than {MAX_HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        self._head_bytes = self._head_bytes or 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        super().on_headers_complete()
        if self._door.draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._received()
        self._head_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def shutdown(self) -> None:
        """Close when idle; a request that has begun to arrive is still answered, and is the last one."""
        if not self._head_bytes:
            super().shutdown()

    def _expect(self) -> None:
        self._receipt = self.loop.call_later(self._receipt_timeout_s, self._late)

    def _received(self) -> None:
        if self._receipt is not None:
            self._receipt.cancel()
            self._receipt = None

    def _late(self) -> None:
        self._receipt = None
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle
        answering = cycle is not None and not cycle.response_complete and not cycle.more_body
        if answering or self.pipeline:
            self._expect()  # an earlier request of this connection is being answered; look again later
            return
        self._refuse(408, f"the request was not complete within {self._receipt_timeout_s:g} s")

    def _refuse(self, status: int, message: str) -> None:
        """Answer in the envelope, unless an answer has begun, and close."""
        cycle: RequestResponseCycle | None = self.cycle
        begun = cycle is not None and cycle.response_started and not cycle.response_complete
        idle = status == 408 and (cycle is None or cycle.response_complete) and not self._head_bytes
        if not begun and not idle:
            detail = {"code": CODES[status], "message": message, "field": None}
            self.transport.write(_raw_answer(status, envelope(status, detail, uuid.uuid4().hex)))
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()


def _raw_answer(status: int, body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "content-type: application/json",
        f"content-length: {len(content)}",
        f"x-request-id: {body['error']['request_id']}",
        "connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + content


class Server(uvicorn.Server):
    """SIGTERM: not ready at once, no new connections, answer everything accepted, end with status 0.

    `lost` says why the service cannot go on, or None: then the same, but with status 1 and after LOST_S.
    """

    def __init__(self, config: uvicorn.Config, door: Door, lost: Callable[[], str | None]) -> None:
        super().__init__(config)
        self._door = door
        self._lost = lost
        self._lost_since: float | None = None  # time.monotonic()

    @property
    def status(self) -> int:
        """What the process ends with."""
        return 0 if self._lost_since is None else 1

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if self._lost_since is None and (why := self._lost()) is not None:
            self._lost_since = time.monotonic()
            self._door.draining = True
            logger.critical("%s; the process ends in %g s, to be started again", why, LOST_S)
        if self._lost_since is not None and time.monotonic() >= self._lost_since + LOST_S:
            self.should_exit = True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Not handed on to uvicorn, which would raise the signal again after a clean end.
        self._door.draining = True
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        started = time.monotonic()
        self._door.draining = True
        for server in self.servers:
            for listener in server.sockets:
                turn_away_new_connections(listener)
        for connection in self.server_state.connections:
            if isinstance(connection, ReceiptProtocol) and connection.cycle is not None:
                connection.cycle.keep_alive = False  # the answers under way say that they are the last
        # uvicorn's own shutdown resets connections that are not accepted yet and closes those that have no
        # request yet, though one may be on the wire.
        await asyncio.sleep(LAST_CALL_S)
        left = (self.config.timeout_graceful_shutdown or 0) - (time.monotonic() - started)
        self.config.timeout_graceful_shutdown = max(1, round(left))
        await super().shutdown(sockets)


def serve(app: FastAPI, settings: Settings, lost: Callable[[], str | None] = lambda: None) -> int:
    """Answer until a signal ends it, or until a model is lost; the process's exit status."""
    door: Door = app.state.door
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=partial(ReceiptProtocol, door=door, receipt_timeout_s=settings.receipt_timeout_s),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_timeout_s,
        timeout_graceful_shutdown=settings.shutdown_timeout_s,
    )
    server = Server(config, door, lost)
    server.run()
    return server.status
