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
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.batching.batcher import Batcher, Encoded
from models.batching.futures import resolve
from models.batching.text_disk_cache import TextStore, digest
from models.batching.vector_cache import VectorCache
from models.errors import DeadlineExceeded, Overloaded, ShuttingDown
from models.pretrained.tokenizer import Tokens

# Texts per step of one request. Measured on two cores with ViT-B/32: 64 short labels take about 0.1 s, the
# longest that a photograph may have to wait for its turn.
CHUNK = 64

# Texts of all requests on their way: some 60 MB. A request that finds as many waiting is refused.
MAX_WAITING = 200_000

# Texts that are looked up in one go, in some milliseconds: the worker waits for the same lock.
SLICE = 1_000

# Chunks between two lines of progress in the log: some 3,000 texts, a few seconds on a small machine.
REPORT_CHUNKS = 50

logger = logging.getLogger(__name__)

Vector: TypeAlias = NDArray[np.float32]  # (D,)


class _Asker:
    """One request that waits for texts, until its time is up or it has left (its future is cancelled)."""

    def __init__(self, order: Sequence[str], deadline: float | None) -> None:
        self.done: Future[NDArray[np.float32]] = Future()
        self._order = order
        self._deadline = deadline  # time.monotonic(); None: for ever
        self._ready: dict[str, Vector] = {}
        self._left = 1  # texts on their way, and one until all have been asked for

    def waits(self) -> bool:
        return not self.done.done() and (self._deadline is None or time.monotonic() < self._deadline)

    def know(self, text: str, vector: Vector) -> None:
        self._ready[text] = vector

    def expect(self) -> None:
        self._left += 1

    def arrived(self) -> bool:
        """One less to wait for; True when it was the last."""
        self._left -= 1
        return self._left == 0

    def finish(self) -> None:
        """Answer with the rows (N, D); of no use to one that has left or was told an error."""
        if self.done.done():
            return
        try:
            rows = np.stack([self._ready[text] for text in self._order])
        except MemoryError as error:
            resolve(self.done, error=Overloaded("there is not enough memory for these texts"))
            logger.error("no memory for the rows of %d texts: %s", len(self._order), error)
        else:
            resolve(self.done, result=rows)


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
        self._flights: dict[str, list[_Asker]] = {}  # texts on their way, and who waits for each
        self._announced = 0  # texts of requests that are just being taken apart
        self._lock = threading.Lock()  # of all that is above, and of every asker's count
        self.encoded_total = 0
        self._store = store
        for key, vector in store.read() if store else ():
            self.cache.put(key, vector)

    def embed(self, texts: Sequence[str], *, deadline: float | None = None) -> Future[NDArray[np.float32]]:
        """Unit rows (N, D) in the order of `texts`, which may repeat. Cancelled, it is encoded no further.

        Raises Overloaded at once when too many texts of others wait.
        """
        asker = _Asker(texts, deadline)
        distinct = list(dict.fromkeys(texts))
        with self._lock:
            waiting = len(self._flights) + self._announced
            if waiting >= MAX_WAITING:
                raise Overloaded(f"{waiting} texts are waiting for the encoder already")
            self._announced += len(distinct)
        missing: list[str] = []
        for start in range(0, len(distinct), SLICE):
            with self._lock:
                for text in distinct[start : start + SLICE]:
                    self._ask(asker, text, missing)
        if missing:
            # Longest first: a chunk's texts are of like length, so little of a trimmed batch is padding.
            missing.sort(key=len, reverse=True)
            self._queue([missing[i : i + CHUNK] for i in range(0, len(missing), CHUNK)])
        with self._lock:
            self._announced -= len(distinct)
            complete = asker.arrived()
        if complete:
            asker.finish()
        return asker.done

    def _ask(self, asker: _Asker, text: str, missing: list[str]) -> None:
        """From the cache, or from its flight; a text without one is `missing`. With the lock held."""
        vector = self.cache.get(digest(text))
        if vector is not None:
            asker.know(text, vector)
            return
        if text not in self._flights:
            self._flights[text] = []
            missing.append(text)
        self._flights[text].append(asker)
        asker.expect()

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
            try:
                rows = job.result().value
                self._keep([self._land(text, row) for text, row in zip(texts, rows, strict=True)])
            except Exception as error:  # the encoder's, or no memory for a copy
                self._fail([texts, *rest], error)
                return
            if rest:
                self._report(rest)
                self._queue(rest)

        job.add_done_callback(finished)

    def _still_wanted(self, texts: list[str]) -> list[str]:
        """Those whose callers are still there and have time; the others' flights end here."""
        with self._lock:
            late = [text for text in texts if not any(asker.waits() for asker in self._flights[text])]
            askers = [asker for text in late for asker in self._flights.pop(text)]
        tell(askers, DeadlineExceeded("the request's time ran out before its labels were encoded"))
        return [text for text in texts if text not in set(late)] if late else texts

    def waiting(self) -> int:
        """Texts that are asked for and not yet embedded."""
        return len(self._flights)

    def _land(self, text: str, vector: Vector) -> tuple[bytes, Vector]:
        own = vector.copy()  # a view would keep its whole chunk alive behind the cache's back
        key = digest(text)
        complete = []
        with self._lock:
            self.cache.put(key, own)
            self.encoded_total += 1
            for asker in self._flights.pop(text):
                asker.know(text, own)
                if asker.arrived():
                    complete.append(asker)
        for asker in complete:
            asker.finish()
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
        with self._lock:
            texts = (text for chunk in chunks for text in chunk)
            askers = [asker for text in texts for asker in self._flights.pop(text, ())]
        tell(askers, error)


def tell(askers: Iterable[_Asker], error: BaseException) -> None:
    """Answer with an error those that were not answered before."""
    for asker in askers:
        if not asker.done.done():
            resolve(asker.done, error=error)


def encode_chunks(
    encode: Callable[[Sequence[NDArray[np.int64]]], NDArray[np.float32]],
) -> Callable[[Sequence[NDArray[np.int64]]], list[NDArray[np.float32]]]:
    """Make of a text encoder one whose items are whole chunks: each (n, L) -> each (n, D)."""

    def run(chunks: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        return [encode(list(chunk)) for chunk in chunks]

    return run
