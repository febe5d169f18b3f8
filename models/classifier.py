"""The pieces together: pictures and labels in, vectors and rankings out, for one loaded model.

    bytes ─ pool: hash, decode, resize ─┐
                                        ├─ one worker: batches of pictures and texts in turn ─ unit vectors
    labels ─ pool: templates, tokens ───┘

Every `embed_…` returns a future that always resolves; deadlines are `time.monotonic()` values, checked before
decoding, when a batch is made, and never later than that. Knows no HTTP and no event loop.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.batching.batcher import Batcher, Lane
from models.batching.image_embeddings import EmbeddedImage, ImageEmbeddings
from models.batching.text_disk_cache import TextDiskCache, model_key
from models.batching.text_embeddings import TextEmbeddings, encode_chunks
from models.encoders.devices import is_lost, release_memory
from models.encoders.encoder import Encoder
from models.errors import CandidError, ImageRejected
from models.images.decode import ImageLimits
from models.images.preprocess import Preprocess
from models.labels.label_matrix import LabelMatrix
from models.labels.label_set import LabelSet, plain
from models.labels.zero_shot import LabelMatrices
from models.pretrained.info import ModelInfo
from models.pretrained.tokenizer import Tokens
from models.priority import yield_to_others
from models.scoring import ranking
from models.scoring.ranking import Ranked

MIB = 1 << 20
PLACES_BATCH = 8  # pictures: of 1,024 places with 1,152 numbers each these are 38 MB
PROBE_TIMEOUT_S = 5.0  # for the real forward that must succeed after a failure
STALLED_S = 60.0  # a longer forward hangs: whoever waits behind it ran out of time at half of this


@dataclass(frozen=True, slots=True)
class ServingOptions:
    """Limits and sizes of one model's service."""

    limits: ImageLimits = field(default_factory=ImageLimits)
    exact_decode: bool = False  # never let libjpeg decode at a smaller scale
    decode_threads: int = 0  # 0: one a core
    max_batch: int = 32  # pictures
    max_queue: int = 1024  # pictures that wait for the encoder
    fill_batches: bool = False  # what is being decoded is waited for: faster for many, slower for one
    text_cache_bytes: int = 256 * MIB
    text_store_dir: Path | None = None  # where text embeddings outlive the process; None: nowhere
    image_cache_bytes: int = 64 * MIB


@dataclass(frozen=True, slots=True)
class Classified:
    """One picture's answer: a ranking, or why there is none."""

    ranking: tuple[Ranked, ...]
    image: EmbeddedImage | None
    error: ImageRejected | None = None


@dataclass(frozen=True, slots=True)
class Classification:
    """Answers in the order of the pictures."""

    model: str
    results: tuple[Classified, ...]
    warnings: tuple[str, ...]


class Classifier:
    """One loaded model, ready to serve."""

    def __init__(
        self,
        info: ModelInfo,
        encoder: Encoder,
        preprocess: Preprocess,
        tokens: Tokens,
        options: ServingOptions,
    ) -> None:
        self.info = info
        self.grid = encoder.grid
        self._tokens = tokens
        threads = options.decode_threads or os.cpu_count() or 1
        # All but forward passes.
        self.pool = ThreadPoolExecutor(threads, "candid-decode", initializer=yield_to_others)
        self._batcher = batcher_of(info.name, encoder, options)
        self._images = ImageEmbeddings(
            preprocess,
            self._batcher,
            self.pool,
            limits=options.limits,
            exact_decode=options.exact_decode,
            max_bytes=options.image_cache_bytes,
        )
        self._texts = TextEmbeddings(
            tokens,
            self._batcher,
            self.pool,
            max_bytes=options.text_cache_bytes,
            disk_cache=_text_disk_cache(info, tokens, options),
        )
        self._matrices = LabelMatrices(self._texts, tokens, self.pool, info.default_template)

    def embed_image(self, data: bytes, *, deadline: float | None = None) -> Future[EmbeddedImage]:
        """Embed one encoded picture. The future may raise ImageRejected, DeadlineExceeded, Overloaded, …"""
        return self._images.embed(data, deadline=deadline)

    def embed_places(
        self, data: bytes, *, overlay: bool = False, deadline: float | None = None
    ) -> Future[EmbeddedImage]:
        """The same with its `places`, of a model with a `grid`; `overlay`: with a thumbnail to draw on."""
        return self._images.embed(data, deadline=deadline, explain="overlay" if overlay else "grid")

    def embed_texts(
        self, texts: Sequence[str], *, deadline: float | None = None
    ) -> Future[NDArray[np.float32]]:
        """Embed texts as they stand, without a template: unit rows (N, D), cached.

        Raises Overloaded at once when too many texts wait; the future may raise DeadlineExceeded, …
        """
        return self._texts.embed(texts, deadline=deadline)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, uncut, begin and end included."""
        return [self._tokens.count(text) for text in texts]

    def is_cut(self, text: str) -> bool:
        """Whether the model reads only the beginning of `text`."""
        return self._tokens.is_cut(text)

    def label_matrix(
        self, labels: Sequence[str], *, templates: Sequence[str] = (), deadline: float | None = None
    ) -> Future[LabelMatrix]:
        """The zero-shot classifier of `labels`: embeddings averaged over the templates and renormalised.

        `templates` are templates with one "{}" each or names of presets; none means the model's own default.
        Raises InvalidRequest at once for empty labels and unusable templates.
        """
        return self._matrices.get(plain(labels, templates), deadline=deadline)

    def label_set_matrix(self, label_set: LabelSet, *, deadline: float | None = None) -> Future[LabelMatrix]:
        """The same of a label set."""
        return self._matrices.get(label_set, deadline=deadline)

    def rank(
        self, vector: NDArray[np.float32], matrix: LabelMatrix, *, top_k: int | None = None
    ) -> list[Ranked]:
        """Rank the labels of `matrix` for one picture's vector (D,), highest similarity first."""
        return ranking.rank(vector, matrix, logit_scale=self.info.logit_scale, top_k=top_k)

    def classify(
        self,
        images: Sequence[bytes],
        labels: Sequence[str],
        *,
        templates: Sequence[str] = (),
        top_k: int | None = None,
    ) -> Classification:
        """Everything at once, waiting: for callers in Python that have no service."""
        matrix_future = self.label_matrix(labels, templates=templates)
        futures = [self.embed_image(data) for data in images]
        matrix = matrix_future.result()
        return Classification(
            self.info.name, tuple(self._answer(future, matrix, top_k) for future in futures), matrix.warnings
        )

    def _answer(self, future: Future[EmbeddedImage], matrix: LabelMatrix, top_k: int | None) -> Classified:
        try:
            embedded = future.result()
        except ImageRejected as error:
            return Classified((), None, error)
        return Classified(tuple(self.rank(embedded.vector, matrix, top_k=top_k)), embedded)

    def stats(self) -> dict[str, float]:
        """Counters and gauges for /metrics."""
        images, places, texts = map(self._batcher.lane, ("images", "places", "texts"))
        return {
            "images_encoded_total": images.items_total + places.items_total,
            "image_batches_total": images.batches_total + places.batches_total,
            "image_cache_hits_total": self._images.cache.hits,
            "image_cache_misses_total": self._images.cache.misses,
            "image_cache_bytes": self._images.cache.nbytes,
            "texts_encoded_total": self._texts.encoded_total,
            "text_batches_total": texts.batches_total,
            "texts_waiting": self._texts.waiting(),
            "text_cache_hits_total": self._texts.cache.hits,
            "text_cache_misses_total": self._texts.cache.misses,
            "text_cache_bytes": self._texts.cache.nbytes,
            "queue_depth": self._batcher.depth(),
            "encoder_busy_seconds_total": sum(lane.seconds_total for lane in (images, places, texts)),
        }

    def ready(self) -> bool:
        """True when the next picture can expect an answer; after a failure a real forward decides."""
        if self._images.closes_at is not None or not self._batcher.alive():
            return False
        if self._batcher.busy_s() > STALLED_S:
            return False
        if self._batcher.failed() is None:
            return True
        size = self.info.image_size
        try:
            probe = self._batcher.submit("images", np.zeros((3, size, size), dtype=np.uint8))
            probe.result(timeout=PROBE_TIMEOUT_S)
        except (CandidError, TimeoutError):
            return False
        return True

    def lost(self) -> str | None:
        """Why this model will never answer again in this process; None as long as it may."""
        return self._batcher.died()

    def close(self, *, drain_s: float = 0.0) -> None:
        """Finish what waits within `drain_s` seconds, then stop the threads; later calls get ShuttingDown."""
        closes_at = self._images.closes_at = time.monotonic() + drain_s
        # Tasks of the pool are run, not cancelled: each must resolve its caller's future.
        self.pool.shutdown(wait=True)
        self._batcher.close(drain_s=max(0.0, closes_at - time.monotonic()))


def batcher_of(name: str, encoder: Encoder, options: ServingOptions) -> Batcher:
    """The queue in front of `encoder`, with lanes for images, places and texts."""
    most = min(options.max_batch, encoder.best_batch or options.max_batch)
    return Batcher(
        name,
        (
            Lane(
                "images",
                encoder.images,
                max_batch=most,
                max_queue=options.max_queue,
                fills=options.fill_batches,
            ),
            Lane(
                "places",
                encoder.places,
                max_batch=min(PLACES_BATCH, most),
                max_queue=options.max_queue,
                fills=options.fill_batches,
            ),
            # A texts item is a whole chunk already; every request queues one at a time.
            Lane("texts", encode_chunks(encoder.texts), max_batch=1, max_queue=options.max_queue),
        ),
        release_memory=partial(release_memory, encoder.device),
        is_fatal=is_lost,
        workers=encoder.workers,
    )


def _text_disk_cache(info: ModelInfo, tokens: Tokens, options: ServingOptions) -> TextDiskCache | None:
    if options.text_store_dir is None or not options.text_cache_bytes:
        return None
    return TextDiskCache(
        options.text_store_dir,
        key=model_key(info, tokens),
        dimension=info.embed_dim,
        max_bytes=options.text_cache_bytes,
    )
