"""Bytes under way, of all requests together: heads and bodies that come in, answers made or not taken yet.

A route that may make a large answer reserves room for it before the work. When the buffer is full, the
largest request that is not whole yet is refused, whoever asks for more: so whoever holds most gives way, and
no number of half-sent uploads keeps a small request out. Knows no route.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.errors import response_to
from models.errors import InvalidRequest

SMALL_ANSWER_BYTES: Final = 64 * 1024
"""An answer of this size is always given: what the caller does not take of it lies with the system."""

SMALL_HEAD_BYTES: Final = 4 * 1024
"""A request's head up to this size is not counted: the connection itself takes more."""
RESERVED: Final = "reserved_answer"
"""Where a request's state has its Reservation."""


class Answer(Protocol):
    """An answer that its caller has not taken yet."""

    @property
    def held(self) -> int: ...  # bytes

    @property
    def is_late(self) -> bool: ...

    def cut_off(self) -> None: ...


@dataclass(eq=False, slots=True)
class Upload:
    """A request that is coming in, and what ends the wait for the rest of it."""

    end: Callable[[], None]
    size: int = 0  # bytes


class Reservation:
    """Room for one request's answer until it is sent: what its caller has not taken counts by itself."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self.size = 0  # bytes

    def grow_to(self, size: int) -> None:
        """Raises InvalidRequest for what will never have room, HTTPException for what has none now."""
        if size > max(self._buffer.max_bytes, SMALL_ANSWER_BYTES):
            raise InvalidRequest(
                f"this would take about {size} bytes of memory; at most {self._buffer.max_bytes} are there "
                "for all requests (limit: max_buffer_bytes): send fewer pictures, labels or texts, or ask "
                "for top_k"
            )
        more = size - self.size
        if more <= 0:
            return
        if not self._buffer.has_room_for(more):
            raise no_room()
        self._buffer.answers += more
        self.size = size

    def release(self) -> None:
        """It is sent, or there will be none."""
        self._buffer.answers -= self.size
        self.size = 0


class Buffer:
    """Counts bytes. Answers may hold half of it, so that callers who do not read keep no body out."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bodies = 0  # bytes of requests: with large heads
        self.answers = 0  # bytes that are reserved, or that callers have not taken yet
        self.untaken: set[Answer] = set()
        self._unfinished: set[Upload] = set()

    @property
    def held(self) -> int:
        """Bytes of bodies and answers."""
        return self.bodies + self.answers

    def has_room_for(self, answer: int) -> bool:
        """Whether an answer of so many bytes may be sent; the largest that is late gives way to it."""
        while answer > SMALL_ANSWER_BYTES and self.answers and self.answers + answer > self.max_bytes // 2:
            late = [other for other in self.untaken if other.is_late]
            if not late:
                return False
            max(late, key=lambda other: other.held).cut_off()
        return True

    def add(self, upload: Upload, size: int, *, whole: bool) -> None:
        """So many bytes more. Raises HTTPException when there is no room and this one is to give way."""
        upload.size += size
        self.bodies += size
        if whole:
            self._unfinished.discard(upload)
        else:
            self._unfinished.add(upload)
        while self.held > self.max_bytes:
            largest = max(self._unfinished, key=lambda held: held.size, default=upload)
            if largest is upload:
                raise no_room()
            self.drop(largest)
            largest.end()

    def drop(self, upload: Upload) -> None:
        """Its bytes are let go, or will be in a moment."""
        self.bodies -= upload.size
        upload.size = 0
        self._unfinished.discard(upload)


def no_room() -> HTTPException:
    """The answer to a request whose bytes find no room."""
    return HTTPException(503, "too many large requests at once (limit: max_buffer_bytes)")


class BodyLimit:
    """ASGI: refuses a body that is too large, and counts bodies and reserved answers to the buffer.

    A Content-Length over the limit is refused unread; a chunked body is counted while it comes. What a caller
    goes on sending after the refusal is thrown away by the server until its receipt deadline.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, buffer: Buffer) -> None:
        self.app = app
        self._max_body = max_body_bytes
        self._buffer = buffer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = asyncio.timeout(None)
        upload, reserved = Upload(lambda: limit.reschedule(0)), Reservation(self._buffer)  # 0: at once
        scope.setdefault("state", {})[RESERVED] = reserved
        counted, asked, refused = 0, False, False

        async def count() -> Message:
            nonlocal counted, asked
            asked = True
            message = await receive()
            size = len(message.get("body", b""))
            counted += size
            self._check(counted)
            self._buffer.add(upload, size, whole=not message.get("more_body", False))
            return message

        async def answer(message: Message) -> None:
            nonlocal refused
            if refused:
                return  # the rest of an answer that found no room
            if message["type"] == "http.response.start":
                size = _declared(Headers(raw=message.get("headers", [])))
                if not self._buffer.has_room_for(size - reserved.size):
                    await response_to(no_room(), scope)(scope, receive, answer)
                    refused = True
                    return
                # Who waits for "100 Continue" and is refused may start its next request or send the body
                # after all: nobody can tell, so the connection ends here (RFC 9110, 10.1.1).
                if not asked and "expect" in headers:
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        try:
            self._check(_declared(headers))
            async with limit:
                try:
                    if (head := _head_bytes(scope)) > SMALL_HEAD_BYTES:
                        self._buffer.add(upload, head, whole=False)
                    await self.app(scope, count, answer)
                finally:
                    self._buffer.drop(upload)
                    reserved.release()
        except TimeoutError:
            if not limit.expired():
                raise
            await response_to(no_room(), scope)(scope, receive, answer)
        except HTTPException as error:
            await response_to(error, scope)(scope, receive, answer)

    def _check(self, size: int) -> None:
        if size > self._max_body:
            raise HTTPException(413, f"the body exceeds {self._max_body} bytes (limit: max_body_bytes)")


def reserve(request: Request, size: int) -> None:
    """Room for an answer of about so many bytes, before it is made; see `Reservation.grow_to`."""
    reserved: Reservation = request.scope["state"][RESERVED]
    reserved.grow_to(size)


def _head_bytes(scope: Scope) -> int:
    return len(scope["query_string"]) + sum(len(name) + len(value) for name, value in scope["headers"])


def _declared(headers: Headers) -> int:
    try:
        return int(headers.get("content-length", "0"))
    except ValueError:
        return 0
