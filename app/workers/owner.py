"""The process that has the models: what all fronts ask meanwhile is encoded together."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, Final

import numpy as np

from app.model_loading import load_options, load_runner
from app.serve import lost_among
from app.settings import Settings
from app.workers.messages import CALLS, Encode, Encoded, Model, Ready, Scrape, Scraped, Slots
from models.errors import CandidError, EncoderFailed

logger = logging.getLogger(__name__)

SCRAPE_S: Final = 1.5
"""For a front to say its metrics."""


class Owner:
    """The towers of all models, each behind one queue."""

    def __init__(self, settings: Settings) -> None:
        """Raises ModelUnavailable when a model cannot be had."""
        from models.classifier import batcher_of

        serving = load_options(settings).serving
        self.models: list[Model] = []
        self._batchers = []
        for spec in settings.specs:
            described, runner = load_runner(settings, spec)
            encoder = described.encoder(runner)
            self.models.append(Model(described, encoder.best_batch))
            self._batchers.append(batcher_of(described.info.name, encoder, serving))
        sizes = [model.described.info.image_size for model in self.models]
        self.slot_bytes = serving.max_batch * 3 * max(sizes) ** 2
        self.slots = CALLS * len(self.models)

    def lost(self) -> str | None:
        """Why a model will never answer again in this process; None as long as all may."""
        both = zip(self.models, self._batchers, strict=True)
        return lost_among((model.described.info.name, batcher.died()) for model, batcher in both)

    def close(self) -> None:
        """Stop the threads."""
        for batcher in self._batchers:
            batcher.close()

    def encode(self, asked: Encode, slots: Slots) -> Encoded:
        """Rows, or the error in their place."""
        batcher = self._batchers[asked.model]
        items: Iterable[Any] = slots.view(asked.slot, asked.shape) if asked.ids is None else (asked.ids,)
        try:
            futures = [batcher.submit(asked.lane, item) for item in items]
            rows = [future.result().value for future in futures]
        except CandidError as error:
            return Encoded(asked.number, None, error)
        except Exception as error:
            logger.exception("a call of a front failed")
            return Encoded(asked.number, None, EncoderFailed(f"the encoder failed: {type(error).__name__}"))
        return Encoded(asked.number, rows[0] if asked.ids is not None else np.stack(rows))


class Line:
    """The owner's end of one front's pipe."""

    def __init__(self, owner: Owner, connection: Connection, slots: Slots, others: Lines) -> None:
        self.ready = threading.Event()
        self._owner, self._connection, self._slots, self._others = owner, connection, slots, others
        self._sending = threading.Lock()
        self._scrapes: dict[int, Future[Sequence[bytes]]] = {}
        self._numbers = itertools.count()
        self._pool = ThreadPoolExecutor(owner.slots + 2, "candid-front")

    def listen(self) -> None:
        """Answer until the front is gone."""
        self._others.add(self)
        try:
            while True:
                match self._connection.recv():
                    case Encode() as asked:
                        self._pool.submit(self._encode, asked)
                    case Scrape(number):
                        self._pool.submit(self._scrape_others, number)
                    case Scraped(number, texts):
                        if (waiting := self._scrapes.pop(number, None)) is not None:
                            waiting.set_result(texts)
                    case Ready():
                        self.ready.set()
        except (EOFError, OSError):
            pass
        finally:
            self._others.remove(self)
            self._pool.shutdown(wait=False)
            self._connection.close()

    def send(self, message: object) -> None:
        """Nothing happens when the front is gone."""
        with self._sending:
            try:
                self._connection.send(message)
            except OSError:
                logger.debug("a front has gone before its answer came")

    def _encode(self, asked: Encode) -> None:
        self.send(self._owner.encode(asked, self._slots))

    def ask_metrics(self) -> Future[Sequence[bytes]]:
        """The front's own; the future never resolves when it is gone."""
        number = next(self._numbers)
        future: Future[Sequence[bytes]] = Future()
        self._scrapes[number] = future
        self.send(Scrape(number))
        return future

    def _scrape_others(self, number: int) -> None:
        asked = [line.ask_metrics() for line in self._others.but(self)]
        texts: list[bytes] = []
        for future in asked:
            try:
                texts += future.result(SCRAPE_S)
            except TimeoutError:
                logger.warning("a front did not say its metrics in time")
        self.send(Scraped(number, texts))


class Lines:
    """Those of all fronts that are there."""

    def __init__(self) -> None:
        self._lines: set[Line] = set()
        self._lock = threading.Lock()

    def add(self, line: Line) -> None:
        with self._lock:
            self._lines.add(line)

    def remove(self, line: Line) -> None:
        with self._lock:
            self._lines.discard(line)

    def but(self, line: Line) -> list[Line]:
        """All others."""
        with self._lock:
            return [other for other in self._lines if other is not line]
