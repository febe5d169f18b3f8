"""A connection's transport that counts what its caller has not taken yet, and ends one who does not read.

uvicorn hands an answer to the transport whole and forgets it: without a bound a caller who never reads holds
its answer, its socket and the shutdown for as long as it likes.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from app.http.buffer import Buffer

LOOK_S: Final = 0.5
"""How often an answer under way is looked at."""
MIN_BYTES_PER_S: Final = 4096
"""A caller takes so much of its answer, on average over the deadline, or it is ended: half of a GPRS link."""
HIGH_WATER_BYTES: Final = 256 * 1024
"""A stream waits for its caller from here on."""


class Sending:
    """What uvicorn takes for the transport; `draining` makes it less patient."""

    def __init__(self, transport: asyncio.Transport, buffer: Buffer, timeout_s: float) -> None:
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._buffer = buffer
        self._timeout_s = timeout_s
        self.held = 0  # bytes not taken by the caller, as counted to the buffer
        self._since = 0.0  # when it began to hold some
        self._given = 0  # bytes handed over since the connection began
        self._mark = (0, 0.0)  # bytes taken, and when that was looked at
        self._timer: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Hand over bytes of an answer; a look at how they are taken follows."""
        self._transport.write(data)
        self._given += len(data)
        self._count()
        if self._timer is None:
            self._since = self._loop.time()
            self._mark = self._given - self.held, self._since
            self._look_later()

    @property
    def is_late(self) -> bool:
        """Whether its caller has had the deadline's time to take all of it."""
        return self._loop.time() - self._since >= self._timeout_s

    def hurry(self, timeout_s: float) -> None:
        """From now on wait less long."""
        self._timeout_s = min(self._timeout_s, timeout_s)

    def cut_off(self) -> None:
        """End the connection with what is not sent."""
        self.gone()
        self._transport.abort()

    def gone(self) -> None:
        """The connection is lost, and what it held with it."""
        self._hold(0)
        if self._timer is not None:
            self._timer.cancel()

    def _count(self) -> None:
        self._hold(self._transport.get_write_buffer_size())

    def _hold(self, size: int) -> None:
        self._buffer.answers += size - self.held
        self.held = size
        if size:
            self._buffer.untaken.add(self)
        else:
            self._buffer.untaken.discard(self)

    def _look_later(self) -> None:
        self._timer = self._loop.call_later(min(LOOK_S, self._timeout_s / 4), self._look)

    def _look(self) -> None:
        self._timer = None
        self._count()
        if not self.held:
            return
        taken, now = self._given - self.held, self._loop.time()
        before, since = self._mark
        if taken - before >= MIN_BYTES_PER_S * self._timeout_s:
            self._mark = taken, now
        elif now - since >= self._timeout_s:
            self.cut_off()
            return
        self._look_later()
