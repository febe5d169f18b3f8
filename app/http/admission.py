"""Admission: how large a body may be, how many bodies are held, how many requests are worked on at once.

A half-sent request holds no slot: slots are taken when the whole request is here. So a slow sender costs a
connection and the bytes it sent, never another caller's turn. Knows nothing of pictures and labels.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.errors import CallerGone, response_to
from models.errors import DeadlineExceeded, Overloaded


@dataclass(frozen=True, slots=True)
class Slot:
    """Leave to work on one request."""

    deadline: float  # time.monotonic()


class Admission:
    """Bounded admission. Draining means: go on answering, but tell who asks that we are leaving."""

    def __init__(self, *, max_slots: int, request_timeout_s: float, max_unread_bytes: int = 1 << 62) -> None:
        self.max_slots = max_slots
        self.taken = 0
        self.unread_bytes = 0  # of answers that their callers have not read yet
        self.draining = False
        self._timeout_s = request_timeout_s
        self._max_unread_bytes = max_unread_bytes

    def look(self) -> None:
        """Refuse at once when the house is full: asked before a body is read."""
        if self.taken >= self.max_slots:
            raise Overloaded(f"all {self.max_slots} slots are taken; try again soon (limit: max_slots)")
        if self.unread_bytes > self._max_unread_bytes:
            raise Overloaded("too many answers wait to be read; try again soon (limit: max_buffer_bytes)")

    @asynccontextmanager
    async def slot(self, request: Request) -> AsyncIterator[Slot]:
        """Work inside ends early, with every future cancelled, when time is up or the caller has left."""
        self.look()
        self.taken += 1
        try:
            if await request.is_disconnected():
                raise CallerGone("the caller left before the work began")
            async with _until_gone(request, self._timeout_s):
                yield Slot(time.monotonic() + self._timeout_s)
        finally:
            self.taken -= 1


@asynccontextmanager
async def _until_gone(request: Request, timeout_s: float) -> AsyncIterator[None]:
    """Cancel what runs inside after `timeout_s`, or as soon as the caller closes the connection."""
    gone = False
    loop = asyncio.get_running_loop()
    watch: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(timeout_s) as limit:

            async def look_out() -> None:
                nonlocal gone
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                gone = True
                limit.reschedule(loop.time())

            watch = asyncio.create_task(look_out())
            try:
                yield
            finally:
                # Before `limit` ends: a finished timeout cannot be moved.
                watch.cancel()
                await asyncio.wait([watch])
    except TimeoutError as error:
        if gone:
            raise CallerGone("the caller left") from error
        raise DeadlineExceeded(
            f"not done within {timeout_s:g} s (limit: request_timeout_s); send fewer pictures or labels"
        ) from error


class BodyLimit:
    """ASGI: refuses a body that is too large, and any body when too many bytes are held already.

    A Content-Length over the limit is refused unread; a chunked body is counted while it comes. What a caller
    goes on sending after the refusal is thrown away by the server until its receipt deadline.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, max_buffer_bytes: int) -> None:
        self.app = app
        self._max_body = max_body_bytes
        self._max_held = max_buffer_bytes
        self.held = 0  # bytes of all bodies under way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        counted, asked = 0, False

        async def count() -> Message:
            nonlocal counted, asked
            asked = True
            message = await receive()
            size = len(message.get("body", b""))
            counted += size
            self.held += size
            self._check(counted)
            if self.held > self._max_held:
                raise HTTPException(503, "too many large requests at once (limit: max_buffer_bytes)")
            return message

        async def answer(message: Message) -> None:
            # Who waits for "100 Continue" and is refused may start its next request or send the body after
            # all: nobody can tell, so the connection ends here (RFC 9110, 10.1.1).
            if message["type"] == "http.response.start" and not asked and "expect" in headers:
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        try:
            self._check(_declared(headers))
            await self.app(scope, count, answer)
        except HTTPException as error:
            await response_to(error, scope)(scope, receive, answer)
        finally:
            self.held -= counted

    def _check(self, size: int) -> None:
        if size > self._max_body:
            raise HTTPException(413, f"the body exceeds {self._max_body} bytes (limit: max_body_bytes)")


def _declared(headers: Headers) -> int:
    try:
        return int(headers.get("content-length", "0"))
    except ValueError:
        return 0
