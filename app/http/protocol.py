"""One connection: uvicorn's protocol with bounds on what it takes in, keeps in line, and sends.

uvicorn never times out a half-sent request, keeps trailers without bound and takes them for headers, drops
the body of a request that also offers an upgrade, and answers refusals at this level as plain text.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.http.admission import Admission
from app.http.buffer import Buffer
from app.http.errors import CODES, detail_of, envelope
from app.http.metrics import METHODS, REQUEST_ID, UNMATCHED, Metrics
from app.http.origins import SAFE_METHODS, Hosts, host_of
from app.http.sending import Sending

logger = logging.getLogger(__name__)

MAX_HEAD_BYTES: Final = 256 * 1024
"""Request line and headers: a raw picture's query may carry a thousand labels. The parser has no limit."""
MAX_HEADERS: Final = 256
"""Header fields, and trailer fields: browsers and proxies send some thirty."""
MAX_TRAILER_BYTES: Final = 32 * 1024
"""What may come between two pieces of a chunked body, or after the last: trailers and chunk extensions."""
MAX_PIPELINED: Final = 64
"""Requests of one connection that wait for the one before; those after it are not read."""
PROBE_S: Final = 1.0
"""How long after a caller has ended its sending it is asked whether it still listens."""


class Refusal(Exception):
    """What came is not taken: a status and why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


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


class BoundedProtocol(HttpToolsProtocol):
    """A connection that has not sent its whole request within the deadline is answered 408 and closed."""

    def __init__(self, *args: Any, bounds: Bounds, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bounds = bounds
        self._receipt: asyncio.TimerHandle | None = None
        self._probe: asyncio.TimerHandle | None = None
        self._head_bytes: int | None = 0  # of the request that is coming in; None while its body is
        self._between = 0  # bytes since the last piece of a chunked body
        self._trailers = 0
        self._upgrade = False  # the head that was just read offers one
        self._shedding = False  # the request that is coming in has been refused already
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
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        if self._receipt is None:
            self._expect()
        if self._head_bytes is None:
            self._between += len(data)
        else:
            self._head_bytes += len(data)
        try:
            self._parse(memoryview(data))
            self._check_size()
        except Refusal as refusal:
            self._refuse(refusal.status, str(refusal))
        except httptools.HttpParserError as error:
            reason = error.__context__
            if isinstance(reason, Refusal):
                self._refuse(reason.status, str(reason))
            else:
                logger.debug("not parsed", exc_info=error)
                self._refuse(400, f"this is no HTTP/1.1 request: {error}")

    def eof_received(self) -> bool:  # type: ignore[override]
        """The caller sends no more. Answers to what is whole are still given; then the connection ends."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body:
            return False  # nothing whole waits for an answer: the transport closes
        self._end_after_answers()
        if cycle.scope["http_version"] == "1.1":
            self._probe = self.loop.call_later(PROBE_S, self._is_anybody_there)
        return True

    # What the parser calls

    def on_message_begin(self) -> None:
        self._head_bytes = self._head_bytes or 1
        self._trailers = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_bytes is None:
            self._trailers += 1  # and thrown away: nothing here reads trailers, and they are no headers
            if self._trailers > MAX_HEADERS:
                raise Refusal(431, f"the request has more than {MAX_HEADERS} trailer fields")
            return
        if len(self.headers) >= MAX_HEADERS:
            raise Refusal(431, f"the request has more than {MAX_HEADERS} header fields")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            raise Refusal(400, "CONNECT is for proxies, and this is none")
        if self.parser.should_upgrade():
            self._upgrade = True  # _parse reads it again, without the offer
            return
        self._head_bytes, self._between = None, 0
        self._check_host()
        earlier: RequestResponseCycle | None = self.cycle
        waiting = earlier is not None and not earlier.response_complete
        if waiting and len(self.pipeline) >= MAX_PIPELINED:
            self._end_after_answers()
            raise Refusal(400, "too many requests wait on this connection")
        if not waiting and self._is_shed():
            self._shed()
            return
        target, _, query = self.url.partition(b"?")  # httptools.parse_url takes 64 KiB
        if len(target) >= 1 << 16:
            raise Refusal(414, f"the path is longer than {(1 << 16) - 1} bytes")
        self.url = target
        super().on_headers_complete()
        self.scope["query_string"] = query.partition(b"#")[0]
        if self._bounds.admission.draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._between = 0
        if not (self._upgrade or self._shedding or self._deaf):
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._upgrade:
            return
        self._received()
        self._head_bytes = 0
        if not self._shedding:
            super().on_message_complete()
            return
        self._shedding = False
        if not self.parser.should_keep_alive():
            self.transport.close()
            self._deaf = True
            return
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

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

    def _parse(self, data: memoryview) -> None:
        """Feed the parser. It stops behind the head of a request that offers an upgrade: as none is taken
        up, that head is given to a new parser without the offer, and its body is read (RFC 9110, 7.8).
        """
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as stopped:
                head = self._head_without_upgrade()
                self._upgrade = False
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                self.parser.feed_data(head)
                data = data[stopped.args[0] :]
                continue
            return

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token for token in value.split(b",") if token.strip().lower() != b"upgrade"]
                value = b",".join(tokens)
            if name != b"upgrade":
                lines.append(name + b": " + value)
        return b"\r\n".join((*lines, b"", b""))

    def _check_size(self) -> None:
        if self._head_bytes is not None and self._head_bytes > MAX_HEAD_BYTES:
            raise Refusal(431, f"the request's head is larger than {MAX_HEAD_BYTES} bytes")
        if self._head_bytes is None and self._between > MAX_TRAILER_BYTES:
            raise Refusal(431, f"more than {MAX_TRAILER_BYTES} bytes of trailers or chunk extensions")

    def _check_host(self) -> None:
        """One valid Host (RFC 9112, 3.2), by which this service may be called."""
        values = [value for name, value in self.headers if name == b"host"]
        if len(values) > 1 or (not values and self.parser.get_http_version() == "1.1"):
            raise Refusal(400, f"a request has one Host header, and this one has {len(values)}")
        host = host_of(values[0]) if values else b""
        if host is None:
            raise Refusal(400, "the Host header holds no host name")
        if not self.url.startswith(b"/") and b"://" in self.url[:10]:
            host = httptools.parse_url(self.url.partition(b"?")[0]).host  # it counts, not the header
        if not self._bounds.hosts.allows(host or b""):
            name = (host or b"").decode("latin-1")[:100]
            raise Refusal(421, f"this service is not called {name!r} (setting: allowed_hosts)")

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

    def _is_shed(self) -> bool:
        """Whether what was just begun is refused unseen: the cheapest answer, for there are too many."""
        return (
            self._bounds.admission.full
            and self.parser.get_method().decode() not in SAFE_METHODS
            and not (self._bounds.cross_origin and self._header(b"origin"))
        )

    def _shed(self) -> None:
        self._shedding = True
        method = self.parser.get_method().decode()
        method = method if method in METHODS else "other"
        self._bounds.metrics.requests.labels(method, UNMATCHED, "503", "overloaded").inc()
        error = self._bounds.admission.overloaded()
        given = self._header(b"x-request-id").decode("latin-1")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        close = not self.parser.should_keep_alive() or self.expect_100_continue
        self.transport.write(raw_answer(503, envelope(503, detail_of(error), request_id), close=close))
        if self.expect_100_continue:
            # It may start its next request or send the body after all (RFC 9110, 10.1.1).
            self._deaf = True
            self.transport.close()

    def _header(self, name: bytes) -> bytes:
        return next((value for other, value in self.headers if other == name), b"")

    def _end_after_answers(self) -> None:
        """Requests that are whole are answered, nothing more is read, and the connection ends."""
        self.cycle.keep_alive = False
        self._deaf = True
        self._received()

    def _is_anybody_there(self) -> None:
        """Who has closed altogether looks like one who only ended sending, until something is sent.

        100 may be sent at any time (RFC 9110, 15.2); a system whose caller has gone resets the connection.
        """
        if self.transport.is_closing() or self.cycle.response_started:
            return
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._probe = self.loop.call_later(PROBE_S, self._is_anybody_there)

    def _refuse(self, status: int, message: str) -> None:
        """Answer in the envelope, unless an answer has begun, and close."""
        if self._deaf:
            return
        self._deaf = True
        cycle: RequestResponseCycle | None = self.cycle
        waiting = cycle is not None and not cycle.response_complete
        if cycle is not None and waiting and self._head_bytes is not None and not cycle.more_body:
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
