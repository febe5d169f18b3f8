"""Text embeddings on demand: cached, bounded in bytes, each text encoded once however many ask at once.

A request's missing texts are tokenized and encoded a chunk at a time, sorted by length, with the next chunk
queued only when the last is done: a request for 80,000 prompts takes its turn beside one for ten labels.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from models.batching import Batcher, Encoded, resolve
from models.errors import DeadlineExceeded, ShuttingDown
from models.lru import VectorCache
from models.text_store import TextStore, digest
from models.tokens import Tokens

# Texts per step of one request. Measured on two cores with ViT-B/32: 64 short labels take about 0.1 s, the
# longest that a photograph may have to wait for its turn.
CHUNK = 64

# Chunks between two lines of progress in the log: some 3,000 texts, a few seconds on a small machine.
REPORT_CHUNKS = 50

logger = logging.getLogger(__name__)

Vector: TypeAlias = NDArray[np.float32]  # (D,)


@dataclass(slots=True, eq=False)
class _Asker:
    """One request that waits for texts, until its time is up or it has left (its future is cancelled)."""

    deadline: float | None  # time.monotonic(); None: for ever
    done: Future[NDArray[np.float32]]

    def waits(self) -> bool:
        return not self.done.done() and (self.deadline is None or time.monotonic() < self.deadline)


@dataclass(slots=True, eq=False)
class _Flight:
    """One text on its way, and who waits for it."""

    askers: list[_Asker] = field(default_factory=list)
    future: Future[Vector] = field(default_factory=Future)

    def wanted(self) -> bool:
        return any(asker.waits() for asker in self.askers)


class TextEmbeddings:
    """Texts in, unit vectors out, through the cache and the model's worker."""

    def __init__(
        self,
        tokens: Tokens,
        batcher: Batcher,
        executor: Executor,
        *,
        max_bytes: int,
        store: TextStore | None = None,
    ) -> None:
        self._tokens = tokens
        self._batcher = batcher
        self._executor = executor
        self.cache = VectorCache(max_bytes)
        self._flights: dict[str, _Flight] = {}
        self._lock = threading.Lock()
        self.encoded_total = 0
        self._store = store
        for key, vector in store.read() if store else ():
            self.cache.put(key, vector)

    def embed(self, texts: Sequence[str], *, deadline: float | None = None) -> Future[NDArray[np.float32]]:
        """Unit rows (N, D) in the order of `texts`, which may repeat. Cancelled, it is encoded no further."""
        done: Future[NDArray[np.float32]] = Future()
        asker = _Asker(deadline, done)
        ready: dict[str, Vector] = {}
        awaited: dict[str, Future[Vector]] = {}
        missing: list[str] = []
        with self._lock:  # between a look at the cache and one at the flights nothing may land
            for text in dict.fromkeys(texts):
                vector = self.cache.get(digest(text))
                if vector is not None:
                    ready[text] = vector
                    continue
                flight = self._flights.get(text)
                if flight is None:
                    flight = self._flights[text] = _Flight()
                    missing.append(text)
                flight.askers.append(asker)
                awaited[text] = flight.future
        gather(awaited, ready, texts, done)
        if missing:
            # Longest first: a chunk's texts are of like length, so little of a trimmed batch is padding.
            missing.sort(key=len, reverse=True)
            self._queue([missing[i : i + CHUNK] for i in range(0, len(missing), CHUNK)])
        return done

    def _queue(self, chunks: list[list[str]]) -> None:
        """Tokenize and encode the first of `chunks`; when it is done, go on with the rest."""
        try:
            self._executor.submit(self._encode, chunks)
        except RuntimeError:  # the pool has shut down
            self._fail(chunks, ShuttingDown("the model is shutting down"))

    def _encode(self, chunks: list[list[str]]) -> None:
        rest = chunks[1:]
        try:
            texts = self._still_wanted(chunks[0])
            if not texts:
                if rest:
                    self._queue(rest)
                return
            job = self._batcher.submit("texts", self._tokens.encode(texts))  # (n, L)
        except Exception as error:
            self._fail(chunks, error)
            return

        def finished(job: Future[Encoded[NDArray[np.float32]]]) -> None:
            error = job.exception()
            if error is not None:
                self._fail([texts, *rest], error)
                return
            landed = [self._land(text, row) for text, row in zip(texts, job.result().value, strict=True)]
            self._keep(landed)
            if rest:
                self._report(rest)
                self._queue(rest)

        job.add_done_callback(finished)

    def _still_wanted(self, texts: list[str]) -> list[str]:
        """Those whose callers are still there and have time; the others' futures end here."""
        with self._lock:
            late = [text for text in texts if not self._flights[text].wanted()]
        self._fail([late], DeadlineExceeded("the request's time ran out before its labels were encoded"))
        return [text for text in texts if text not in set(late)] if late else texts

    def waiting(self) -> int:
        """Texts that are asked for and not yet embedded."""
        return len(self._flights)

    def _land(self, text: str, vector: Vector) -> tuple[bytes, Vector]:
        own = vector.copy()  # a view would keep its whole chunk alive behind the cache's back
        key = digest(text)
        with self._lock:
            self.cache.put(key, own)
            self.encoded_total += 1
            flight = self._flights.pop(text)
        flight.future.set_result(own)
        return key, own

    def _keep(self, landed: list[tuple[bytes, Vector]]) -> None:
        """Write to disk in the pool: this is the model's worker, whose time belongs to the model."""
        if self._store is not None:
            with suppress(RuntimeError):  # the pool has shut down
                self._executor.submit(self._store.append, landed)

    def _report(self, rest: list[list[str]]) -> None:
        if len(rest) % REPORT_CHUNKS == 0:
            logger.info("%d texts still to embed for one request", sum(map(len, rest)))

    def _fail(self, chunks: Iterable[Sequence[str]], error: BaseException) -> None:
        for text in (text for chunk in chunks for text in chunk):
            with self._lock:
                flight = self._flights.pop(text, None)
            if flight is not None:
                flight.future.set_exception(error)


def gather(
    awaited: dict[str, Future[Vector]],
    ready: dict[str, Vector],
    order: Sequence[str],
    done: Future[NDArray[np.float32]],
) -> None:
    """Resolve `done` with the rows of `order` (N, D) once every text has landed, or with the first error."""
    lock = threading.Lock()
    left = len(awaited)

    def landed(text: str, flight: Future[Vector]) -> None:
        nonlocal left
        error = flight.exception()
        with lock:
            left -= 1
            if error is not None:
                resolve(done, error=error)
                return
            ready[text] = flight.result()
            if left == 0 and not done.done():
                resolve(done, result=np.stack([ready[text] for text in order]))

    if not awaited:
        done.set_result(np.stack([ready[text] for text in order]))
    for text, flight in awaited.items():
        flight.add_done_callback(partial(landed, text))


def encode_chunks(
    encode: Callable[[Sequence[torch.Tensor]], NDArray[np.float32]],
) -> Callable[[Sequence[torch.Tensor]], list[NDArray[np.float32]]]:
    """Make of a text encoder one whose items are whole chunks: each (n, L) -> each (n, D)."""

    def run(chunks: Sequence[torch.Tensor]) -> list[NDArray[np.float32]]:
        return [encode(list(chunk)) for chunk in chunks]

    return run
