"""Admission: how many requests are worked on at once, and for how long.

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

from app.http.errors import CallerGone
from app.tracing.steps import note_read
from models.errors import DeadlineExceeded, Overloaded


@dataclass(frozen=True, slots=True)
class Slot:
    """Leave to work on one request."""

    deadline: float  # time.monotonic()


class Admission:
    """Bounded. Draining means: go on answering, but tell who asks that we are leaving."""

    def __init__(self, *, max_slots: int, request_timeout_s: float) -> None:
        self.max_slots = max_slots
        self.taken = 0
        self.draining = False
        self._timeout_s = request_timeout_s

    @property
    def full(self) -> bool:
        """Whether every slot is taken."""
        return self.taken >= self.max_slots

    def overloaded(self) -> Overloaded:
        """What a caller is told when it is full."""
        return Overloaded(f"all {self.max_slots} slots are taken; try again soon (limit: max_slots)")

    def look(self) -> None:
        """Refuse at once when it is full: asked before a body is read."""
        if self.full:
            raise self.overloaded()

    @asynccontextmanager
    async def slot(self, request: Request) -> AsyncIterator[Slot]:
        """Work inside ends early, with every future cancelled, when time is up or the caller has left."""
        self.look()
        self.taken += 1
        try:
            note_read()
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
