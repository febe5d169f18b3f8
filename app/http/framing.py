"""Where a request begins and ends, what its head may hold, and whom it names.

httptools keeps heads and trailers without bound and hands trailers over like headers, and it drops the body
of a request that also offers an upgrade. Knows nothing of answers.
"""

from __future__ import annotations

from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http.origins import Hosts, host_of

MAX_HEAD_BYTES: Final = 256 * 1024
"""Request line and headers: a raw picture's query may carry a thousand labels. The parser has no limit."""
MAX_HEADERS: Final = 256
"""Header fields, and trailer fields: browsers and proxies send some thirty."""
MAX_TRAILER_BYTES: Final = 32 * 1024
"""What may come between two pieces of a chunked body, or after the last: trailers and chunk extensions."""
MAX_PATH_BYTES: Final = (1 << 16) - 1
"""httptools.parse_url takes no more; the query is not handed to it."""


class Refusal(Exception):
    """What came is not taken: a status and why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BoundedParsing(HttpToolsProtocol):
    """Reads requests, and raises Refusal for what is none or too much of one."""

    def __init__(self, *args: Any, hosts: Hosts, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._hosts = hosts
        self._head_bytes: int | None = 0  # of the request that is coming in; None while its body is
        self._between = 0  # bytes since the last piece of a chunked body
        self._trailers = 0
        self._upgrade = False  # the head that was just read offers one
        self._ignored = False  # the body that is coming in is of a request that has been refused

    def feed(self, data: bytes) -> None:
        """Parse what came."""
        if self._head_bytes is None:
            self._between += len(data)
        else:
            self._head_bytes += len(data)
        try:
            self._parse(memoryview(data))
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, Refusal):  # raised by one of those below
                raise error.__context__ from None
            raise Refusal(400, f"this is no HTTP/1.1 request: {error}") from error
        self._check_size()

    def take_request(self) -> None:
        """The head is whole: begin to work on the request."""
        target, _, query = self.url.partition(b"?")
        if len(target) > MAX_PATH_BYTES:
            raise Refusal(414, f"the path is longer than {MAX_PATH_BYTES} bytes")
        self.url = target
        super().on_headers_complete()
        self.scope["query_string"] = query.partition(b"#")[0]

    def finish_request(self) -> None:
        """The body is whole."""
        super().on_message_complete()

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
        self._check_host()
        self.take_request()
        self._head_bytes, self._between = None, 0

    def on_body(self, body: bytes) -> None:
        self._between = 0
        if not (self._upgrade or self._ignored):
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._upgrade:
            self._head_bytes = 0
            self.finish_request()

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
        if not self._hosts.allows(host or b""):
            name = (host or b"").decode("latin-1")[:100]
            raise Refusal(421, f"this service is not called {name!r} (setting: allowed_hosts)")
