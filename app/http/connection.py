"""uvicorn's connection with what it lacks: deadlines for sending and reading, bounds on all but bodies.

uvicorn never times out a half-sent request or an answer that nobody reads, answers refusals at this level
as plain text, takes trailers for headers, stops reading at an `Upgrade`, and closes connections whose request
is still on the wire when it shuts down.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.http.admission import Admission
from app.http.errors import CODES, envelope
from app.http.origins import Hosts, host_of

MAX_HEAD_BYTES: Final = 256 * 1024
"""Request line and headers: a raw picture's query may carry a thousand labels. The parser has no limit."""
MAX_FRAMING_BYTES: Final = 256 * 1024
"""Of a chunked body, without a byte of the body itself: chunk sizes and extensions, trailers."""
LEAST_READ_BYTES: Final = 64 * 1024
"""That must have been read of an answer within a write timeout, or all of it."""
HOP_BY_HOP: Final = frozenset({b"upgrade", b"http2-settings"})
"""What an upgrade is asked for with."""


class Connection(HttpToolsProtocol):
    """Its requests come in whole and in time, or are refused; its answers are read, or it ends."""

    def __init__(
        self,
        *args: Any,
        admission: Admission,
        hosts: Hosts,
        receipt_timeout_s: float,
        write_timeout_s: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._admission = admission
        self._hosts = hosts
        self._receipt_timeout_s = receipt_timeout_s
        self._receipt: asyncio.TimerHandle | None = None
        self._head_bytes: int | None = 0  # of the request that is coming in; None while its body is
        self._framing_bytes = 0  # since the last byte of a body: chunk sizes, extensions, trailers
        self._refused = False  # what else comes is not looked at
        self._unread = UnreadAnswers(admission, write_timeout_s)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._unread.transport = transport
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._received()
        self._unread.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._receipt is None:
            self._expect()
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        else:
            self._framing_bytes += len(data)
        self._feed(data)
        if self.transport.is_closing():
            return
        if self._head_bytes is not None and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, f"the request's head is larger than {MAX_HEAD_BYTES} bytes")
        elif self._head_bytes is None and self._framing_bytes > MAX_FRAMING_BYTES:
            self._refuse(431, f"more than {MAX_FRAMING_BYTES} bytes of trailers or chunk extensions")

    def _feed(self, data: bytes) -> None:
        """To the parser. It ends at an upgrade, which may be ignored (RFC 9110, 7.8), and is."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self.parser.get_method() == b"CONNECT":
                self._refuse(405, "this is no proxy")
                return
            head = self._head_without_upgrade()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self._feed(head + data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(t for t in value.split(b",") if t.strip().lower() not in HOP_BY_HOP)
            if name not in HOP_BY_HOP:
                lines.append(name + b": " + value)
        return b"\r\n".join((*lines, b"", b""))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_bytes is not None:  # else a trailer: no header, whatever its name (RFC 9110, 6.5)
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._framing_bytes = 0
        if not self._refused:
            super().on_body(body)

    def on_message_begin(self) -> None:
        self._head_bytes = self._head_bytes or 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # it is read once more, without
        self._head_bytes, self._framing_bytes = None, 0
        named = [value for name, value in self.headers if name == b"host"]
        if len(named) > 1 or (not named and self.parser.get_http_version() == "1.1"):
            self._refuse(400, "a request has one Host header")
            return
        if named and not ((host := host_of(named[0])) is not None and self._hosts.allows(host)):
            self._refuse(421, "this service is not called by that Host (setting: allowed_hosts)")
            return
        super().on_headers_complete()
        if self._admission.draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        if self._refused or self.parser.should_upgrade():
            return
        self._received()
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._unread.watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread.watch()

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
        self._refused = True
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


class UnreadAnswers:
    """What a connection's peer has not read yet: counted for all, and given up when it reads too slowly."""

    def __init__(self, admission: Admission, timeout_s: float) -> None:
        self.transport: asyncio.Transport | None = None
        self._admission = admission
        self._timeout_s = timeout_s
        self._timer: asyncio.TimerHandle | None = None
        self._nbytes = 0  # that waited when it was last looked at

    def watch(self) -> None:
        """Look at it from now on, if anything waits to be read."""
        if self._timer is None and self._waiting():
            self._count(self._waiting())
            self._timer = asyncio.get_running_loop().call_later(self._timeout_s, self._look)

    def stop(self) -> None:
        self._count(0)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        before, now = self._nbytes, self._waiting()
        if now and before - now < min(before, LEAST_READ_BYTES):
            assert self.transport is not None
            self.transport.abort()
            return
        self._count(now)
        self.watch()

    def _waiting(self) -> int:
        return self.transport.get_write_buffer_size() if self.transport is not None else 0

    def _count(self, nbytes: int) -> None:
        self._admission.unread_bytes += nbytes - self._nbytes
        self._nbytes = nbytes
