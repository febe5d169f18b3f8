"""Text embeddings outlive the process, whatever happens to their file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import models
from models.batching import text_disk_cache
from models.batching.text_disk_cache import TextDiskCache, digest, model_key
from models.classifier import Classifier, ServingOptions
from models.pretrained.tokenizer import Tokens

VECTORS = {text: np.array([len(text), i], dtype=np.float32) for i, text in enumerate(("cat", "dog", "horse"))}


def store(folder: Path, *, key: str = "model", max_bytes: int = 1 << 20) -> TextDiskCache:
    return TextDiskCache(folder, key=key, dimension=2, max_bytes=max_bytes)


def written(folder: Path) -> TextDiskCache:
    made = store(folder)
    made.append((digest(text), vector) for text, vector in VECTORS.items())
    return made


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    written(tmp_path)
    read = dict(store(tmp_path).read())
    assert read.keys() == {digest(text) for text in VECTORS}
    for text, vector in VECTORS.items():
        assert np.array_equal(read[digest(text)], vector)


def test_no_text_stands_in_the_file(tmp_path: Path) -> None:
    assert b"horse" not in written(tmp_path).path.read_bytes()


def test_a_torn_record_is_skipped_and_cut_off(tmp_path: Path) -> None:
    path = written(tmp_path).path
    path.write_bytes(path.read_bytes()[:-5])
    assert len(dict(store(tmp_path).read())) == 2
    store(tmp_path).append([(digest("mouse"), np.ones(2, dtype=np.float32))])
    assert digest("mouse") in dict(store(tmp_path).read())


def test_a_damaged_record_is_skipped(tmp_path: Path) -> None:
    path = written(tmp_path).path
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    assert set(dict(store(tmp_path).read())) == {digest("dog"), digest("horse")}


def test_another_model_reads_nothing(tmp_path: Path) -> None:
    written(tmp_path)
    assert dict(store(tmp_path, key="other").read()) == {}


class OtherTokens:
    """The embedded model's tokenizer, but case counts."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def encode(self, texts: Sequence[str]) -> NDArray[np.int64]:
        return self._tokens.encode([text.replace("DOGS", "cats") for text in texts])


def test_whatever_decides_a_vector_is_in_the_models_key(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    info, tokens = classifier.info, classifier._tokens
    keys = {model_key(info, tokens)}
    for changes in (
        {"fingerprint": "0" * 64},
        {"config": "0"},  # other towers or tokenizer
        {"precision": "int8"},
        {"encoder": "other"},
        {"embed_dim": 1},
    ):
        keys.add(model_key(replace(info, **changes), tokens))
    keys.add(model_key(info, OtherTokens(tokens)))
    monkeypatch.setattr(text_disk_cache, "version", lambda package: f"next {package}")
    keys.add(model_key(info, tokens))
    assert len(keys) == 8
    monkeypatch.undo()
    assert model_key(replace(info, name="renamed", device="elsewhere"), tokens) in keys


def test_its_size_is_bounded(tmp_path: Path) -> None:
    small = store(tmp_path, max_bytes=100)
    for i in range(100):
        small.append([(digest(str(i)), VECTORS["cat"])])
    assert small.path.stat().st_size <= 100


def test_a_folder_that_cannot_be_written_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    blocked = store(tmp_path / "file")
    blocked.append([(digest("cat"), VECTORS["cat"])])
    assert dict(blocked.read()) == {}
    assert "cannot be kept" in caplog.text


def test_a_restart_does_not_pay_again(tmp_path: Path) -> None:
    options = models.LoadOptions(serving=ServingOptions(text_store_dir=tmp_path))
    first = models.load("embedded", options)
    rows = first.embed_texts(["walrus", "narwhal"]).result()
    first.close()
    second = models.load("embedded", options)
    again = second.embed_texts(["walrus", "narwhal"]).result()
    assert second.stats()["texts_encoded_total"] == 0
    assert np.array_equal(rows, again)
    second.close()
