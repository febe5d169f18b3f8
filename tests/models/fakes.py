"""A stand-in for a loaded model: a picture's bytes name its direction. For what is built upon one."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from models.errors import ImageRejected
from models.labels.label_matrix import LabelMatrix
from models.labels.label_set import LabelSet

DIMENSIONS = 64


def direction(text: str):
    """A unit vector (D,) that depends on the text alone."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    row = np.random.default_rng(seed).normal(size=DIMENSIONS)
    return (row / np.linalg.norm(row)).astype(np.float32)


@dataclass(frozen=True)
class FakeInfo:
    name: str = "fake"
    default_template: str = "plain"
    logit_scale: float = 50.0


@dataclass(frozen=True)
class FakeImage:
    vector: object


@dataclass
class FakeClassifier:
    """Bytes b"cat" are a picture of a cat; b"" cannot be read."""

    info: FakeInfo = field(default_factory=FakeInfo)
    most_under_way: int = 0
    _under_way: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(2)

    def embed_image(self, data: bytes) -> Future:
        with self._lock:
            self._under_way += 1
            self.most_under_way = max(self.most_under_way, self._under_way)
        return self._pool.submit(self._embed, data)

    def _embed(self, data: bytes) -> FakeImage:
        with self._lock:
            self._under_way -= 1
        if not data:
            raise ImageRejected("empty", "no bytes")
        return FakeImage(direction(data.decode()))

    def label_set_matrix(self, label_set: LabelSet) -> Future:
        done: Future = Future()
        rows = np.stack([direction(name) for name in label_set.names])
        done.set_result(LabelMatrix(label_set.names, rows))
        return done
