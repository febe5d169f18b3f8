"""Work that is done once, however many ask for it at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Work = Callable[[], Coroutine[Any, Any, V]]


class Flight(Generic[V]):
    """One piece of work, begun now. Each who waits may leave; when all have, it ends unless it `goes_on`."""

    def __init__(self, work: Work[V], *, goes_on: bool = False) -> None:
        self._goes_on = goes_on
        self._waiting = 0
        self._task = asyncio.create_task(work())
        # So that an error is looked at even when everybody has left.
        self._task.add_done_callback(lambda done: done.cancelled() or done.exception())

    @property
    def failed(self) -> bool:
        """Whether it is of no use to anybody who comes now."""
        task = self._task
        ended_badly = task.done() and (task.cancelled() or task.exception() is not None)
        return ended_badly or task.cancelling() > 0

    @property
    def landed(self) -> V | None:
        """The result, if it is there."""
        return self._task.result() if self._task.done() and not self.failed else None

    async def result(self) -> V:
        """Wait for it."""
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            if not self._waiting and not self._goes_on:
                self._task.cancel()


class Once(Generic[K, V]):
    """Results of the `most` keys that were asked for last; work for them goes on. For one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._flights: OrderedDict[K, Flight[V]] = OrderedDict()

    async def get(self, key: K, work: Work[V]) -> V:
        """The result for the key; `work` is started when there is none, or none that went well."""
        flight = self._flights.get(key)
        if flight is None or flight.failed:
            flight = self._flights[key] = Flight(work, goes_on=True)
        self._flights.move_to_end(key)
        while len(self._flights) > self._most:
            self._flights.popitem(last=False)
        return await flight.result()
