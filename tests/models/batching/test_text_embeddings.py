"""Texts are encoded once, in turns, and never stay unanswered."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.batching import text_embeddings
from models.batching.batcher import Batcher, Lane
from models.batching.text_embeddings import CHUNK, SLICE, TextEmbeddings, encode_chunks
from models.errors import DeadlineExceeded, EncoderFailed, Overloaded
from models.pretrained.tokenizer import Tokens

WAIT_S = 10


class Letters:
    """A tokenizer of letters: ids (N, context_length)."""

    def __call__(self, texts: Sequence[str], context_length: int) -> NDArray[np.int64]:
        rows = [[ord(letter) for letter in text[:context_length]] for text in texts]
        return np.array([row + [0] * (context_length - len(row)) for row in rows])

    def count(self, text: str) -> int:
        return len(text)


class Recorder:
    """A text encoder: the embedding of a text is (first letter, sum of letters). Can be held."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        self.gate.wait(WAIT_S)
        self.batches.append(len(ids))
        rows = ids.astype(np.float32)  # (n, L)
        if bool((rows[:, 0] == ord("!")).any()):
            raise RuntimeError("an exclamation")
        return np.stack([rows[:, 0], rows.sum(axis=1)], axis=1)


class Parts:
    def __init__(self, **options: Any) -> None:
        self.encode = Recorder()
        lane = Lane("texts", encode_chunks(self.encode), max_batch=1, max_queue=100)
        self.batcher = Batcher("test", [lane], release_memory=lambda: None)
        self.pool = ThreadPoolExecutor(2)
        self.texts = TextEmbeddings(
            Tokens(Letters(), 8), self.batcher, self.pool, max_bytes=options.get("max_bytes", 1 << 20)
        )


@pytest.fixture
def parts() -> Iterator[Parts]:
    made = Parts()
    yield made
    made.encode.gate.set()
    made.batcher.close()
    made.pool.shutdown()


def test_rows_come_in_the_callers_order_and_may_repeat(parts: Parts) -> None:
    rows = parts.texts.embed(["b", "a", "b", "abc"]).result(WAIT_S)
    assert rows.tolist() == [[98, 98], [97, 97], [98, 98], [97, 97 + 98 + 99]]
    assert sum(parts.encode.batches) == 3


def test_a_repeated_label_set_costs_no_encoding(parts: Parts) -> None:
    first = parts.texts.embed(["cat", "dog"]).result(WAIT_S)
    encoded = sum(parts.encode.batches)
    again = parts.texts.embed(["dog", "cat"]).result(WAIT_S)
    assert sum(parts.encode.batches) == encoded == parts.texts.encoded_total
    assert again.tolist() == first[::-1].tolist()


def test_texts_that_many_ask_for_at_once_are_encoded_once(parts: Parts) -> None:
    parts.encode.gate.clear()
    futures = [parts.texts.embed(["cat", "dog"]) for _ in range(20)]
    parts.encode.gate.set()
    rows = [future.result(WAIT_S).tolist() for future in futures]
    assert all(row == rows[0] for row in rows)
    assert sum(parts.encode.batches) == 2


def test_a_long_list_takes_turns_with_a_short_one(parts: Parts) -> None:
    parts.encode.gate.clear()
    long = parts.texts.embed([f"{i:05d}" for i in range(CHUNK * 10)])
    short = parts.texts.embed(["cat"])
    parts.encode.gate.set()
    short.result(WAIT_S)
    assert long.result(WAIT_S).shape == (CHUNK * 10, 2)
    assert parts.encode.batches.index(1) < 3, "one label waited for the whole of a long list"


def test_a_failure_reaches_its_caller_and_nothing_is_kept_of_it(parts: Parts) -> None:
    with pytest.raises(EncoderFailed):
        parts.texts.embed(["!", "cat"]).result(WAIT_S)
    assert parts.texts.embed(["cat"]).result(WAIT_S).tolist() == [[99, 99 + 97 + 116]]


def test_an_expired_request_is_not_encoded(parts: Parts) -> None:
    with pytest.raises(DeadlineExceeded):
        parts.texts.embed(["cat"], deadline=time.monotonic()).result(WAIT_S)
    assert parts.encode.batches == []


def test_a_patient_caller_gets_what_an_impatient_one_began(parts: Parts) -> None:
    parts.encode.gate.clear()
    blocker = parts.texts.embed(["x"])
    soon = time.monotonic() + 0.05
    texts = [f"{i:05d}" for i in range(CHUNK * 2)]
    parts.texts.embed(texts, deadline=soon)
    patient = parts.texts.embed(texts)
    while time.monotonic() < soon:
        time.sleep(0.01)
    parts.encode.gate.set()
    assert blocker.result(WAIT_S).shape == (1, 2)
    assert patient.result(WAIT_S).shape == (CHUNK * 2, 2)


def test_when_its_caller_has_left_the_rest_of_a_long_list_is_not_encoded(parts: Parts) -> None:
    parts.encode.gate.clear()
    abandoned = parts.texts.embed([f"{i:05d}" for i in range(CHUNK * 10)])
    kept = parts.texts.embed(["00007", "cat"])  # one of them is on the list too
    assert abandoned.cancel()
    parts.encode.gate.set()
    assert kept.result(WAIT_S).shape == (2, 2)
    while parts.texts.waiting():
        time.sleep(0.001)
    assert sum(parts.encode.batches) <= 2 * CHUNK + 2, "a chunk or two had begun"


def test_when_very_many_texts_wait_another_request_is_refused(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_embeddings, "MAX_WAITING", 3)
    parts.encode.gate.clear()
    first = parts.texts.embed(["a", "b", "c", "d"])
    with pytest.raises(Overloaded):
        parts.texts.embed(["e"])
    parts.encode.gate.set()
    assert first.result(WAIT_S).shape == (4, 2)
    assert parts.texts.embed(["e"]).result(WAIT_S).shape == (1, 2)


def test_a_request_may_take_many_slices(parts: Parts) -> None:
    texts = [f"{i:05d}" for i in range(2 * SLICE + 1)]
    rows = parts.texts.embed([*texts, texts[0]]).result(WAIT_S)
    assert rows.shape == (len(texts) + 1, 2)
    assert rows[0].tolist() == rows[-1].tolist() == [48, 5 * 48]
    assert parts.texts.waiting() == 0


def test_after_the_pool_has_stopped_a_caller_is_told(parts: Parts) -> None:
    parts.pool.shutdown()
    with pytest.raises(Exception, match="shutting down"):
        parts.texts.embed(["cat"]).result(WAIT_S)


def test_without_a_cache_answers_are_the_same() -> None:
    parts = Parts(max_bytes=0)
    for _ in range(2):
        assert parts.texts.embed(["a", "b"]).result(WAIT_S).tolist() == [[97, 97], [98, 98]]
    assert sum(parts.encode.batches) == 4
    parts.batcher.close()
    parts.pool.shutdown()
