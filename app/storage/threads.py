"""Threads that wait for the database: a silent one keeps neither other work waiting nor the process alive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonThreads(Executor):
    """As ThreadPoolExecutor, which has the process wait at its end for whatever its threads wait for."""

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._started = 0
        self._lock = threading.Lock()

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin it as soon as a thread is free."""
        future: Future[T] = Future()
        self._work.put((future, partial(function, *args, **kwargs)))
        with self._lock:
            if self._started < self._most:
                self._started += 1
                threading.Thread(target=self._run, daemon=True, name=self._name).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Each thread ends after what was begun before; nobody waits for it. New work starts new threads."""
        with self._lock:
            for _ in range(self._started):
                self._work.put(None)
            self._started = 0

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            future, work = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)
            del item, future, work  # not kept until the next comes
