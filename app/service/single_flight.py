"""Work that is done once for a key, however many ask for it at a time; each may leave, the work goes on."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Once(Generic[K, V]):
    """Results of the `most` keys that were asked for last. For one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tasks: OrderedDict[K, asyncio.Task[V]] = OrderedDict()

    async def get(self, key: K, work: Callable[[], Awaitable[V]]) -> V:
        """The result for the key; `work` is started when there is none, or none that went well."""
        task = self._tasks.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._tasks[key] = asyncio.create_task(_awaited(work))
            # So that an error is looked at even when everybody has left.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._tasks.move_to_end(key)
        while len(self._tasks) > self._most:
            self._tasks.popitem(last=False)
        return await asyncio.shield(task)


async def _awaited(work: Callable[[], Awaitable[V]]) -> V:
    return await work()
