"""Pictures' embeddings on demand: hashed, looked up, decoded and resized in the pool, encoded by the worker.

A caller that leaves cancels its future: what has not begun by then, in the pool or in the encoder's queue, is
not done.
"""

from __future__ import annotations

import hashlib
import logging
import time
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.batching.batcher import Batcher, Encoded
from models.batching.futures import go_on, resolve
from models.batching.lru_cache import LRUCache
from models.errors import CandidError, DeadlineExceeded, EncoderFailed, ShuttingDown
from models.images import decode, overlay
from models.images.decode import ImageLimits
from models.images.preprocess import Preprocess

logger = logging.getLogger(__name__)

Explain = Literal["grid", "overlay"] | None
"""Whether a picture's places are wanted too, and with them a thumbnail to draw on."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where in a picture its embedding comes from."""

    vectors: NDArray[np.float32]  # (P, D), row by row
    box: overlay.Box  # px of the upright picture that they cover
    thumbnail: Image.Image | None  # for overlays, where asked for


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """A picture's embedding and what it cost."""

    vector: NDArray[np.float32]  # (D,), unit norm
    width: int  # px, of the upright picture as sent
    height: int
    decode_ms: float
    queue_ms: float
    encode_ms: float
    ended: float  # time.monotonic(); the queue and before it the decoding came right before the encoder
    batch: int  # pictures that were encoded together; 0 when it came from the cache
    places: Places | None = None  # where asked for; never kept in the cache

    def overlay(self, relevance: NDArray[np.float32], warmth: tuple[float, float]) -> bytes:
        """The picture with `relevance` (rows, columns) over it: PNG. `warmth`: the coldest, the warmest."""
        assert self.places is not None and self.places.thumbnail is not None, "not asked for"
        return overlay.png(self.places.thumbnail, relevance, warmth, self.places.box, self.width)


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
        self.cache: LRUCache[bytes, EmbeddedImage] = LRUCache(max_bytes)  # by the SHA-256 of the file
        self.closes_at: float | None = None  # time.monotonic() after which nothing more is decoded

    def embed(
        self, data: bytes, *, deadline: float | None = None, explain: Explain = None
    ) -> Future[EmbeddedImage]:
        """Embed one encoded picture. Raises ShuttingDown at once when the pool takes no more."""
        done: Future[EmbeddedImage] = Future()
        lane = "places" if explain else "images"
        self._batcher.expect(lane, 1)
        try:
            self._executor.submit(self._run, data, deadline, explain, done)
        except RuntimeError as error:
            self._batcher.expect(lane, -1)
            raise ShuttingDown("the model is shutting down") from error
        return done

    def _run(
        self, data: bytes, deadline: float | None, explain: Explain, done: Future[EmbeddedImage]
    ) -> None:
        try:
            self._decode(data, deadline, explain, done)
        finally:
            self._batcher.expect("places" if explain else "images", -1)

    def _decode(
        self, data: bytes, deadline: float | None, explain: Explain, done: Future[EmbeddedImage]
    ) -> None:
        """In the pool: bytes to the model's pixels, then on to the worker."""
        if done.cancelled():
            return
        try:
            if deadline is not None and time.monotonic() >= deadline:
                raise DeadlineExceeded("the request's time ran out before its picture was decoded")
            started = time.monotonic()
            if self.closes_at is not None and started >= self.closes_at:
                raise ShuttingDown("the model is shutting down")
            caches = self._caches and not explain
            digest = hashlib.sha256(data).digest() if caches else b""
            known = self.cache.get(digest) if caches else None
            if known is not None:
                ended = time.monotonic()
                decode_ms = (ended - started) * 1e3
                found = replace(known, decode_ms=decode_ms, queue_ms=0.0, encode_ms=0.0, ended=ended, batch=0)
                resolve(done, result=found)
                return
            picture = decode.decode(data, self._limits, at_least=self._at_least)
            pixels = self._preprocess.pixels(picture.rgb)  # (3, S, S) uint8
            drawn_on = explain == "overlay"
            thumbnail = overlay.thumbnail(picture.rgb, picture.width, picture.height) if drawn_on else None
            decode_ms = (time.monotonic() - started) * 1e3
            job = self._batcher.submit("places" if explain else "images", pixels, deadline=deadline)
        except CandidError as error:
            resolve(done, error=error)
            return
        except (
            Exception
        ) as error:  # a defect of ours: told here with its traceback, the caller hears no insides
            logger.exception("a defect: decoding or resizing a picture failed")
            failure = EncoderFailed(
                "the picture could not be made ready for the encoder: see the service's log"
            )
            # Without its traceback, whose frames hold the decoded picture.
            failure.__cause__ = error.with_traceback(None)
            resolve(done, error=failure)
            return

        width, height = picture.width, picture.height  # what waits must not hold the picture itself

        def encoded(result: Encoded[NDArray[np.float32]]) -> EmbeddedImage:
            value = result.value.copy()  # a view would keep its whole batch alive
            cost = decode_ms, result.queue_ms, result.encode_ms, result.ended, result.batch
            if explain:  # (1 + P, D)
                places = Places(value[1:], self._preprocess.box(width, height), thumbnail)
                return EmbeddedImage(value[0], width, height, *cost, places)
            embedded = EmbeddedImage(value, width, height, *cost)
            self.cache.put(digest, embedded, value.nbytes)
            return embedded

        go_on(job, done, encoded)
