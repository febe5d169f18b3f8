from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.training.corpus import dataset
from tests.models.training.conftest import COLOURS, Place, square


def test_a_prepared_corpus_is_what_the_shards_hold(tmp_path: Path, corpus: dataset.Corpus) -> None:
    assert len(corpus) == 24
    assert corpus.picture(0) == square(COLOURS["red"])
    assert corpus.picture(23) == square(COLOURS["blue"])
    assert corpus.texts[0] == ("a cat on a red square", "a square")
    assert corpus.texts[1] == ("green",)
    assert np.flatnonzero(corpus.captioned).tolist() == [0, 4, 8, 12, 16, 20]
    assert corpus.classes[3] == ("house cat", "cat")
    assert dataset.lvis_names(tmp_path / "corpus") == ["mug", "sofa"]


def test_preparing_twice_reads_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    dataset.prepare(tmp_path / "corpus", place.cache)
    for shard in dataset.shards(tmp_path / "corpus"):
        shard.unlink()
    dataset.prepare(tmp_path / "corpus", place.cache)
    assert sorted(path.name for path in place.cache.iterdir()) == ["corpus.json", "pictures.bin"]


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train-\*"):
        dataset.prepare(tmp_path, tmp_path / "cache")
