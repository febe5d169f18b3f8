"""A classifier without a model, for what a real one does only when something is wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from models.labels.label_matrix import LabelMatrix
from models.labels.label_set import LabelSet

DIM = 4
INFO: dict[str, Any] = {
    "name": "fake",
    "embed_dim": DIM,
    "context_length": 77,
    "kind": "softmax",
    "logit_scale": 100.0,
    "logit_bias": None,
    "default_template": "plain",
    "fingerprint": "f" * 64,
    "config": "config",
    "precision": "fp32",
    "encoder": "torch",
}


async def until(true: Callable[[], bool]) -> None:
    """Let others run until something has happened."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 (what happens elsewhere sets no event)
            await asyncio.sleep(0.001)


@dataclass
class FakeClassifier:
    """Answers at once, or with `error`, or when the test says so (`hold`)."""

    error: Exception | None = None
    hold: bool = False
    is_ready: bool = True
    given: list[Future[Any]] = field(default_factory=list)
    info: Any = field(default_factory=lambda: SimpleNamespace(**INFO))
    grid: Any = None  # it cannot explain

    def vectors(self, count: int) -> Any:
        """(N, D), all the same."""
        return np.tile(np.eye(1, self.info.embed_dim, dtype=np.float32), (count, 1))

    def embed_image(self, data: bytes, *, deadline: float | None = None) -> Future[Any]:
        picture = SimpleNamespace(
            vector=self.vectors(1)[0],
            width=1,
            height=1,
            decode_ms=1.0,
            queue_ms=0.0,
            encode_ms=2.0,
            ended=time.monotonic(),
            batch=1,
        )
        return self._future(picture)

    def embed_texts(self, texts: Sequence[str], *, deadline: float | None = None) -> Future[Any]:
        return self._future(self.vectors(len(texts)))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [3 for _ in texts]

    def is_cut(self, text: str) -> bool:
        return False

    def label_matrix(
        self, labels: Sequence[str], *, templates: Sequence[str] = (), deadline: float | None = None
    ) -> Future[LabelMatrix]:
        done: Future[LabelMatrix] = Future()
        done.set_result(
            LabelMatrix(tuple(labels), np.eye(len(labels), self.info.embed_dim, dtype=np.float32))
        )
        return done

    def label_set_matrix(self, label_set: LabelSet, *, deadline: float | None = None) -> Future[LabelMatrix]:
        return self.label_matrix(label_set.names, deadline=deadline)

    def stats(self) -> dict[str, float]:
        return {"images_encoded_total": float(len(self.given))}

    def ready(self) -> bool:
        return self.is_ready

    def lost(self) -> str | None:
        return None

    def _future(self, value: Any) -> Future[Any]:
        done: Future[Any] = Future()
        self.given.append(done)
        if self.error is not None:
            done.set_exception(self.error)
        elif not self.hold:
            done.set_result(value)
        return done
