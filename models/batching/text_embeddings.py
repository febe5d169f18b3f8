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
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.batching.batcher import Batcher, Encoded
from models.batching.futures import resolve, submit_unawaited
from models.batching.lru_cache import LRUCache
from models.batching.text_disk_cache import TextDiskCache, digest
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
Text: TypeAlias = tuple[bytes, str]  # its digest, which caches and waiters know it by, and itself


class _Request:
    """One request that waits for texts, until its time is up or it has left (its future is cancelled)."""

    def __init__(self, order: Sequence[bytes], deadline: float | None) -> None:
        self.done: Future[NDArray[np.float32]] = Future()
        self._order = order
        self._deadline = deadline  # time.monotonic(); None: for ever
        self._vectors: dict[bytes, Vector] = {}
        self._left = 1  # texts on their way, and one until all have been asked for

    def waits(self) -> bool:
        return not self.done.done() and (self._deadline is None or time.monotonic() < self._deadline)

    def know(self, key: bytes, vector: Vector) -> None:
        self._vectors[key] = vector

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
            rows = np.stack([self._vectors[key] for key in self._order])
        except MemoryError as error:
            self.fail(Overloaded("there is not enough memory for these texts"))
            logger.error("no memory for the rows of %d texts: %s", len(self._order), error)
        else:
            resolve(self.done, result=rows)

    def fail(self, error: BaseException) -> None:
        if not self.done.done():
            resolve(self.done, error=error)


class TextEmbeddings:
    """Texts in, unit vectors out, through the cache and the model's worker."""

    def __init__(
        self,
        tokens: Tokens,
        batcher: Batcher,
        executor: Executor,
        *,
        max_bytes: int,
        disk_cache: TextDiskCache | None = None,
    ) -> None:
        self._tokens = tokens
        self._batcher = batcher
        self._executor = executor
        self.cache: LRUCache[bytes, Vector] = LRUCache(max_bytes)
        self._requests: dict[bytes, list[_Request]] = {}  # who waits for each text that is on its way
        self._announced = 0  # texts of requests that are just being taken apart
        self._lock = threading.Lock()  # of all that is above, and of every request's count
        self.encoded_total = 0
        self._disk_cache = disk_cache
        for key, vector in disk_cache.read() if disk_cache else ():
            self.cache.put(key, vector, vector.nbytes)

    def embed(self, texts: Sequence[str], *, deadline: float | None = None) -> Future[NDArray[np.float32]]:
        """Unit rows (N, D) in the order of `texts`, which may repeat. Cancelled, it is encoded no further.

        Raises Overloaded at once when too many texts of others wait.
        """
        distinct = dict.fromkeys(texts)
        with self._lock:
            waiting = len(self._requests) + self._announced
            if waiting >= MAX_WAITING:
                raise Overloaded(f"{waiting} texts are waiting for the encoder already")
            self._announced += len(distinct)
        keys = {text: digest(text) for text in distinct}
        request = _Request([keys[text] for text in texts], deadline)
        pairs = [(key, text) for text, key in keys.items()]
        missing: list[Text] = []
        for start in range(0, len(pairs), SLICE):
            with self._lock:
                missing += [text for text in pairs[start : start + SLICE] if self._ask(request, text[0])]
        if missing:
            # Longest first: a chunk's texts are of like length, so little of a trimmed batch is padding.
            missing.sort(key=lambda text: len(text[1]), reverse=True)
            self._queue([missing[i : i + CHUNK] for i in range(0, len(missing), CHUNK)])
        with self._lock:
            self._announced -= len(distinct)
            complete = request.arrived()
        if complete:
            request.finish()
        return request.done

    def _ask(self, request: _Request, key: bytes) -> bool:
        """From the cache, or from whoever encodes it; True: nobody does yet. With the lock held."""
        vector = self.cache.get(key)
        if vector is not None:
            request.know(key, vector)
            return False
        request.expect()
        others = self._requests.setdefault(key, [])
        others.append(request)
        return len(others) == 1

    def _queue(self, chunks: list[list[Text]]) -> None:
        """Tokenize and encode the first of `chunks`; when it is done, go on with the rest."""
        try:
            self._executor.submit(self._encode, chunks)
        except RuntimeError:  # the pool has shut down
            self._fail(chunks, ShuttingDown("the model is shutting down"))

    def _encode(self, chunks: list[list[Text]]) -> None:
        rest = chunks[1:]
        try:
            texts = self._still_wanted(chunks[0])
            if not texts:
                if rest:
                    self._queue(rest)
                return
            job = self._batcher.submit("texts", self._tokens.encode([text for _, text in texts]))  # (n, L)
        except Exception as error:
            self._fail(chunks, error)
            return

        def encoded(job: Future[Encoded[NDArray[np.float32]]]) -> None:
            try:
                rows = job.result().value  # (n, D)
                # Copies: a view would keep its whole chunk alive behind the cache's back.
                vectors = [(key, row.copy()) for (key, _), row in zip(texts, rows, strict=True)]
                self._deliver(vectors)
            except Exception as error:  # the encoder's, or no memory for a copy
                self._fail([texts, *rest], error)
                return
            if (
                self._disk_cache is not None
            ):  # in the pool: here is the model's worker, whose time is the model's
                submit_unawaited(self._executor, self._disk_cache.append, vectors)
            if rest:
                if len(rest) % REPORT_CHUNKS == 0:
                    logger.info("%d texts still to embed for one request", sum(map(len, rest)))
                self._queue(rest)

        job.add_done_callback(encoded)

    def _still_wanted(self, texts: list[Text]) -> list[Text]:
        """Those whose callers are still there and have time; nobody waits for the others any more."""
        with self._lock:
            late = {key for key, _ in texts if not any(request.waits() for request in self._requests[key])}
            requests = [request for key in late for request in self._requests.pop(key)]
        for request in requests:
            request.fail(DeadlineExceeded("the request's time ran out before its labels were encoded"))
        return [text for text in texts if text[0] not in late] if late else texts

    def waiting(self) -> int:
        """Texts that are asked for and not yet embedded."""
        return len(self._requests)

    def _deliver(self, vectors: list[tuple[bytes, Vector]]) -> None:
        """To the cache and to whoever waits; a request that now has all its texts is answered."""
        for key, vector in vectors:
            with self._lock:
                self.cache.put(key, vector, vector.nbytes)
                self.encoded_total += 1
                complete = []
                for request in self._requests.pop(key):
                    request.know(key, vector)
                    if request.arrived():
                        complete.append(request)
            for request in complete:
                request.finish()

    def _fail(self, chunks: Iterable[Sequence[Text]], error: BaseException) -> None:
        with self._lock:
            keys = [key for chunk in chunks for key, _ in chunk]
            requests = [request for key in keys for request in self._requests.pop(key, ())]
        for request in requests:
            request.fail(error)


def encode_chunks(
    encode: Callable[[NDArray[np.int64]], NDArray[np.float32]],
) -> Callable[[Sequence[NDArray[np.int64]]], list[NDArray[np.float32]]]:
    """Make of a text encoder one whose items are whole chunks: each (n, L) -> each (n, D)."""
    return lambda chunks: [encode(chunk) for chunk in chunks]
