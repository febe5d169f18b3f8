"""A front's end of the pipe: encoders that are elsewhere, as `models.encoders.encoder.Runner` has it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, Final

from app.workers.messages import CALLS, Encode, Encoded, Ids, Pixels, Rows, Scrape, Scraped, Slots
from models.errors import EncoderFailed

SCRAPE_S: Final = 2.0
"""For the other fronts' metrics."""


class Calls:
    """Asks the owner of the models; any thread may, and waits for its answer."""

    def __init__(self, connection: Connection, slots: Slots, count: int) -> None:
        """With `count` slots."""
        self._connection, self._slots = connection, slots
        self.own_metrics: Callable[[], bytes] = bytes  # what the owner is told when it asks
        self._free: SimpleQueue[int] = SimpleQueue()
        for slot in range(count):
            self._free.put(slot)
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Any]] = {}
        self._gone = False

    def listen(self, gone: Callable[[], None]) -> None:
        """Take answers until the owner is gone; then all who wait get EncoderFailed, and `gone` is called."""
        try:
            while True:
                match self._connection.recv():
                    case Encoded(number, rows, error):
                        self._resolve(number, rows, error)
                    case Scraped(number, texts):
                        self._resolve(number, texts, None)
                    case Scrape(number):
                        self.send(Scraped(number, (self.own_metrics(),)))
        except (EOFError, OSError):
            with self._lock:
                self._gone, waiting = True, list(self._waiting.values())
            for future in waiting:
                future.set_exception(EncoderFailed("the process that has the models is gone"))
            gone()

    def encode(self, model: int, lane: str, given: Pixels | Ids) -> Rows:
        """What the owner's towers make of pixels (B, 3, S, S) or ids (N, l); raises what they raise."""
        if lane == "texts":
            rows: Rows = self._ask(lambda number: Encode(number, model, lane, 0, (), given))  # type: ignore[arg-type]
            return rows
        slot = self._free.get()
        try:
            self._slots.view(slot, given.shape)[:] = given
            rows = self._ask(lambda number: Encode(number, model, lane, slot, given.shape))
            return rows
        finally:
            self._free.put(slot)

    def others_metrics(self) -> Sequence[bytes]:
        """The other fronts' metrics: of those that answer in time."""
        try:
            texts: Sequence[bytes] = self._ask(Scrape, SCRAPE_S)
        except (TimeoutError, EncoderFailed):
            return ()
        return texts

    def send(self, message: object) -> None:
        """A message that wants no answer."""
        with self._lock:
            self._connection.send(message)

    def _ask(self, message: Callable[[int], object], timeout_s: float | None = None) -> Any:
        future: Future[Any] = Future()
        with self._lock:
            if self._gone:
                raise EncoderFailed("the process that has the models is gone")
            number = next(self._numbers)
            self._waiting[number] = future
            self._connection.send(message(number))
        try:
            return future.result(timeout_s)
        finally:
            self._waiting.pop(number, None)

    def _resolve(self, number: int, result: Any, error: Exception | None) -> None:
        future = self._waiting.get(number)
        if future is None:  # it ran out of time
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)


class SharedRunner:
    """The towers of one of the owner's models."""

    workers: Final = CALLS

    def __init__(self, calls: Calls, model: int, name: str, best_batch: int | None) -> None:
        self.name, self.best_batch = name, best_batch
        self._calls, self._model = calls, model

    def images(self, pixels: Pixels) -> Rows:
        """(B, 3, S, S) -> unit rows (B, D)."""
        return self._calls.encode(self._model, "images", pixels)

    def places(self, pixels: Pixels) -> Rows:
        """(B, 3, S, S) -> (B, 1 + P, D)."""
        return self._calls.encode(self._model, "places", pixels)

    def texts(self, ids: Ids, end: Ids | None) -> Rows:
        """(N, l) -> unit rows (N, D); the owner finds the ends anew."""
        return self._calls.encode(self._model, "texts", ids)
