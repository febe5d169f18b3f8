"""Pictures' embeddings on demand: hashed, looked up, decoded and resized in the pool, encoded by the worker.

A caller that leaves cancels its future: what has not begun by then, in the pool or in the encoder's queue, is
not done.
"""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from models.batching.batcher import Batcher, Encoded
from models.batching.futures import go_on, resolve
from models.batching.vector_cache import VectorCache
from models.errors import CandidError, DeadlineExceeded, EncoderFailed, ShuttingDown
from models.images import decode
from models.images.decode import ImageLimits
from models.images.preprocess import Preprocess


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """A picture's embedding and what it cost."""

    vector: NDArray[np.float32]  # (D,), unit norm
    width: int  # px, of the upright picture as sent
    height: int
    decode_ms: float
    queue_ms: float
    encode_ms: float


class ImageEmbeddings:
    """Encoded pictures in, unit vectors out, through the cache and the model's worker."""

    def __init__(
        self,
        preprocess: Preprocess,
        batcher: Batcher,
        executor: Executor,
        *,
        limits: ImageLimits,
        exact_decode: bool,
        max_bytes: int,
    ) -> None:
        self._preprocess = preprocess
        self._batcher = batcher
        self._executor = executor
        self._limits = limits
        self._at_least = None if exact_decode else preprocess.at_least
        self._caches = max_bytes > 0
        self.cache = VectorCache(max_bytes)
        self.closes_at: float | None = None  # time.monotonic() after which nothing more is decoded

    def embed(self, data: bytes, *, deadline: float | None = None) -> Future[EmbeddedImage]:
        """Embed one encoded picture. Raises ShuttingDown at once when the pool takes no more."""
        done: Future[EmbeddedImage] = Future()
        self._batcher.expect("images", 1)
        try:
            self._executor.submit(self._decode, data, deadline, done)
        except RuntimeError as error:
            self._batcher.expect("images", -1)
            raise ShuttingDown("the model is shutting down") from error
        return done

    def _decode(self, data: bytes, deadline: float | None, done: Future[EmbeddedImage]) -> None:
        try:
            self._submit(data, deadline, done)
        finally:
            self._batcher.expect("images", -1)

    def _submit(self, data: bytes, deadline: float | None, done: Future[EmbeddedImage]) -> None:
        """In the pool: bytes to the model's pixels, then on to the worker."""
        if done.cancelled():
            return
        try:
            if deadline is not None and time.monotonic() >= deadline:
                raise DeadlineExceeded("the request's time ran out before its picture was decoded")
            started = time.monotonic()
            if self.closes_at is not None and started >= self.closes_at:
                raise ShuttingDown("the model is shutting down")
            digest = hashlib.sha256(data).hexdigest() if self._caches else ""
            if self._from_cache(digest, started, done):
                return
            picture = decode.decode(data, self._limits, at_least=self._at_least)
            pixels = self._preprocess.pixels(picture.rgb)  # (3, S, S) uint8
            decode_ms = (time.monotonic() - started) * 1e3
            job = self._batcher.submit("images", pixels, deadline=deadline)
        except CandidError as error:
            resolve(done, error=error)
            return
        except Exception as error:  # a defect of ours: the caller must still get an answer
            resolve(done, error=EncoderFailed(f"decoding failed unexpectedly: {type(error).__name__}"))
            raise
        size = (picture.width, picture.height)
        go_on(job, done, partial(self._encoded, digest, size, decode_ms))

    def _from_cache(self, digest: str, started: float, done: Future[EmbeddedImage]) -> bool:
        if not self._caches:
            return False
        row = self.cache.get(digest)  # (D + 2,): the vector, then width and height
        if row is None:
            return False
        decode_ms = (time.monotonic() - started) * 1e3
        known = EmbeddedImage(row[:-2], int(row[-2]), int(row[-1]), decode_ms, 0.0, 0.0)
        resolve(done, result=known)
        return True

    def _encoded(
        self,
        digest: str,
        size: tuple[int, int],
        decode_ms: float,
        encoded: Encoded[NDArray[np.float32]],
    ) -> EmbeddedImage:
        row = np.append(encoded.value, np.array(size, dtype=np.float32))  # sides < 2^24 px: exact in float32
        self.cache.put(digest, row)
        return EmbeddedImage(row[:-2], *size, decode_ms, encoded.queue_ms, encoded.encode_ms)
