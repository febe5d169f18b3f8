"""One connection: uvicorn's protocol with bounds on what it takes in, keeps in line, and sends.

uvicorn never times out a half-sent request, builds all that wait on one connection, takes the end of sending
for the end of the connection, and answers refusals at this level as plain text.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.http.admission import Admission
from app.http.buffer import SMALL_HEAD_BYTES, Buffer, Upload, no_room
from app.http.errors import CODES, detail_of, envelope
from app.http.framing import BoundedParsing, Refusal
from app.http.metrics import METHODS, REQUEST_ID, UNMATCHED, Metrics
from app.http.origins import SAFE_METHODS, Hosts
from app.http.sending import Sending

MAX_PIPELINED: Final = 64
"""Requests of one connection that wait for the one before; those after it are not read."""
PROBE_S: Final = 1.0
"""How long after a caller has ended its sending it is asked whether it still listens."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What all connections share."""

    admission: Admission
    buffer: Buffer
    metrics: Metrics
    hosts: Hosts
    cross_origin: bool  # whether pages of other origins may read answers, so that each needs CORS' headers
    receipt_timeout_s: float
    send_timeout_s: float


class BoundedProtocol(BoundedParsing):
    """A connection that has not sent its whole request within the deadline is answered 408 and closed."""

    def __init__(self, *args: Any, bounds: Bounds, **kwargs: Any) -> None:
        super().__init__(*args, hosts=bounds.hosts, **kwargs)
        self._bounds = bounds
        self._receipt: asyncio.TimerHandle | None = None
        self._probe: asyncio.TimerHandle | None = None
        self._head = Upload(self._give_way)  # the head that is coming in, when it is large
        self._deaf = False  # whatever still comes is thrown away
        self._asgi = self.app
        self.app = self._run

    # What asyncio calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._sending = Sending(transport, self._bounds.buffer, self._bounds.send_timeout_s)
        super().connection_made(self._sending)  # type: ignore[arg-type]
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._received()
        if self._probe is not None:
            self._probe.cancel()
        self._sending.gone()
        self._bounds.buffer.drop(self._head)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        if self._receipt is None:
            self._expect()
        try:
            self.feed(data)
            self._count_head()
        except Refusal as refusal:
            self._refuse(refusal.status, str(refusal))
        except HTTPException:
            self._give_way()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The caller sends no more. Answers to what is whole are still given; then the connection ends."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or (cycle.more_body and not self.pipeline):
            return False  # nothing whole waits for an answer: the transport closes
        self._end_after_answers()
        if cycle.scope["http_version"] == "1.1":
            self._probe = self.loop.call_later(PROBE_S, self._is_anybody_there)
        return True

    # What the parser leads to

    def take_request(self) -> None:
        if self._deaf:
            raise Refusal(400, "the connection has ended")
        earlier: RequestResponseCycle | None = self.cycle
        waiting = earlier is not None and not earlier.response_complete
        if waiting and len(self.pipeline) >= MAX_PIPELINED:
            self._end_after_answers()
            raise Refusal(400, "too many requests wait on this connection")
        if not waiting and self._is_shed():
            self._shed()
            return
        super().take_request()
        if self._bounds.admission.draining:
            self.cycle.keep_alive = False

    def finish_request(self) -> None:
        self._received()
        if not self._ignored:
            super().finish_request()
            return
        self._ignored = False
        if self.parser.should_keep_alive():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        else:
            self._deaf = True
            self.transport.close()

    # What the server calls

    def shutdown(self) -> None:
        """Close when idle; a request that has begun to arrive is still answered, and is the last one."""
        if not self._head_bytes:
            super().shutdown()

    def hurry(self, timeout_s: float) -> None:
        """The answer under way is the last one, and is to be taken within this time."""
        self._sending.hurry(timeout_s)
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def cut_off(self) -> None:
        """End without an answer, and without one to come."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._deaf = True
        self._sending.cut_off()

    # Receiving

    def _count_head(self) -> None:
        """A large head counts while it comes; once it is whole its request counts it."""
        size = 0 if self._head_bytes is None else self._head_bytes
        if size > SMALL_HEAD_BYTES:
            self._bounds.buffer.add(self._head, size - self._head.size, whole=False)
        elif self._head.size:
            self._bounds.buffer.drop(self._head)

    def _give_way(self) -> None:
        """There is no room for more of the head."""
        self._bounds.buffer.drop(self._head)
        self._refuse(503, str(no_room().detail))

    def _expect(self) -> None:
        self._receipt = self.loop.call_later(self._bounds.receipt_timeout_s, self._late)

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
        self._refuse(408, f"the request was not complete within {self._bounds.receipt_timeout_s:g} s")

    # Answering

    async def _run(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._asgi(scope, receive, send)
        except asyncio.CancelledError:
            self.cut_off()  # uvicorn would tell the caller of a 500
        if self.cycle.disconnected and not self.pipeline:
            self.transport.close()  # it was never whole; those before it have their answers

    def _is_shed(self) -> bool:
        """Whether what was just begun is refused unseen: the cheapest answer, for there are too many."""
        return (
            self._bounds.admission.full
            and self.parser.get_method().decode() not in SAFE_METHODS
            and not (self._bounds.cross_origin and self._header(b"origin"))
        )

    def _shed(self) -> None:
        self._ignored = True
        method = self.parser.get_method().decode()
        method = method if method in METHODS else "other"
        self._bounds.metrics.requests.labels(method, UNMATCHED, "503", "overloaded").inc()
        error = self._bounds.admission.overloaded()
        given = self._header(b"x-request-id").decode("latin-1")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        close = self.expect_100_continue or not self.parser.should_keep_alive()
        self.transport.write(raw_answer(503, envelope(503, detail_of(error), request_id), close=close))
        if self.expect_100_continue:
            # It may start its next request or send the body after all (RFC 9110, 10.1.1).
            self._deaf = True
            self.transport.close()

    def _header(self, name: bytes) -> bytes:
        return next((value for other, value in self.headers if other == name), b"")

    def _end_after_answers(self) -> None:
        """Requests that are whole are answered, nothing more is read, and the connection ends."""
        self._deaf = True
        self.cycle.keep_alive = False
        if self.cycle.more_body:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._received()

    def _is_anybody_there(self) -> None:
        """Who has closed altogether looks like one who only ended sending, until something is sent.

        100 may be sent at any time (RFC 9110, 15.2); a system whose caller has gone resets the connection.
        """
        if self.transport.is_closing() or self.cycle.response_started:
            return
        if not self.pipeline:  # no answer has begun
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._probe = self.loop.call_later(PROBE_S, self._is_anybody_there)

    def _refuse(self, status: int, message: str) -> None:
        """Answer in the envelope, unless an answer has begun, and close."""
        if self._deaf:
            return
        self._deaf = True
        cycle: RequestResponseCycle | None = self.cycle
        waiting = cycle is not None and not cycle.response_complete
        if waiting and (self.pipeline or (self._head_bytes is not None and not self.cycle.more_body)):
            self._end_after_answers()  # what came before is whole and has its answer first
            return
        idle = status == 408 and not waiting and not self._head_bytes
        if not idle and not (cycle is not None and waiting and cycle.response_started):
            detail = {"code": CODES[status], "message": message, "field": None}
            self.transport.write(raw_answer(status, envelope(status, detail, uuid.uuid4().hex), close=True))
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()


def raw_answer(status: int, body: dict[str, Any], *, close: bool) -> bytes:
    """An answer in the envelope, as it goes over the wire."""
    content = json.dumps(body).encode()
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "content-type: application/json",
        f"content-length: {len(content)}",
        f"x-request-id: {body['error']['request_id']}",
    ]
    if status == 503:
        head.append("retry-after: 1")
    if close:
        head.append("connection: close")
    return "\r\n".join((*head, "", "")).encode() + content
