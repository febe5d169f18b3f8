"""Pictures' embeddings: a defect is logged and told without its insides; the cache gives back what it got."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models.batching.batcher import Batcher, Lane
from models.batching.image_embeddings import ImageEmbeddings
from models.errors import EncoderFailed
from models.images import decode
from models.images.decode import DecodedImage, ImageLimits
from models.images.preprocess import Preprocess
from tests.hostile import encoded, photograph

WAIT_S = 10
CAT = encoded(photograph(64, 48), "PNG")


class Parts:
    """The pool and the worker around `images`, with an encoder that counts."""

    def __init__(self) -> None:
        self.encoded = 0
        self.pool = ThreadPoolExecutor(1)
        lane = Lane("images", self.encode, max_batch=8, max_queue=8)
        self.batcher = Batcher("test", [lane], release_memory=lambda: None)
        preprocess = Preprocess(size=(8, 8))
        self.images = ImageEmbeddings(
            preprocess, self.batcher, self.pool, limits=ImageLimits(), exact_decode=True, max_bytes=1 << 20
        )

    def encode(self, pixels: Sequence[np.ndarray]) -> np.ndarray:
        self.encoded += len(pixels)
        return np.stack([one.astype(np.float32).mean(axis=(1, 2)) for one in pixels])  # (B, 3)


@pytest.fixture
def parts() -> Iterator[Parts]:
    made = Parts()
    yield made
    made.pool.shutdown()
    made.batcher.close()


def test_a_defect_is_logged_once_with_its_traceback_and_the_caller_hears_no_insides(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("secret detail")

    monkeypatch.setattr(Preprocess, "pixels", broken)
    with pytest.raises(EncoderFailed) as caught:
        parts.images.embed(CAT).result(WAIT_S)
    assert "secret" not in caught.value.message and "KeyError" not in caught.value.message
    assert isinstance(caught.value.__cause__, KeyError)
    (record,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert record.exc_info is not None and "in broken" in (
        record.exc_text or logging.Formatter().format(record)
    )


def test_after_a_defect_the_next_picture_is_answered(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as once:
        once.setattr(decode, "decode", None)
        with pytest.raises(EncoderFailed):
            parts.images.embed(CAT).result(WAIT_S)
    assert parts.images.embed(CAT).result(WAIT_S).width == 64
    assert parts.batcher.lane("images").expected == 0


def test_from_the_cache_a_picture_is_as_it_was(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = 2**24 + 1  # which float32 cannot hold

    def decoded(*_: object, **__: object) -> DecodedImage:
        return DecodedImage(photograph(16, 16), False, wide, 1, "PNG")

    monkeypatch.setattr(decode, "decode", decoded)
    first, again = (parts.images.embed(CAT).result(WAIT_S) for _ in range(2))
    assert parts.encoded == 1
    assert (first.width, first.height) == (again.width, again.height) == (wide, 1)
    assert np.array_equal(first.vector, again.vector)
    assert (again.queue_ms, again.encode_ms) == (0.0, 0.0)


def test_a_vector_does_not_keep_its_batch_alive(parts: Parts) -> None:
    assert parts.images.embed(CAT).result(WAIT_S).vector.base is None
