from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.training import data


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    key = 0
    for shard in range(2):
        with tarfile.open(folder / f"train-{shard:03d}.tar.gz", "w:gz") as tar:
            for colour in ((255, 0, 0), (0, 0, 255)):
                picture = io.BytesIO()
                Image.new("RGB", (160, 128), colour).save(picture, "WEBP", lossless=True)
                add(tar, f"{key:06d}.webp", picture.getvalue())
                sample = {"source": "clothing", "labels": ["hat"], "soft": [[3, 0.5], [4, 0.25]]}
                add(tar, f"{key:06d}.json", json.dumps(sample).encode())
                key += 1
    np.savez(folder / "teacher_features.npz", features=np.ones((4, 160), np.int8), scale=np.full(160, 0.5))
    np.savez(folder / "clip_text_embeddings.npz", names=np.array(["mug", "sofa"]))
    (folder / "imagenet_classes.txt").write_text("tench, Tinca tinca\ngoldfish\n")
    return folder


def test_a_prepared_corpus_is_what_the_shards_hold(shards: Path, tmp_path: Path) -> None:
    data.prepare(shards, tmp_path / "cache", workers=1)
    corpus = data.load(shards, tmp_path / "cache")
    assert len(corpus) == 4
    assert corpus.images.shape == (4, data.SIDE, data.SIDE, 3)
    assert [tuple(corpus.images[i, 64, 64]) for i in range(2)] == [(255, 0, 0), (0, 0, 255)]
    assert corpus.texts == [("hat",)] * 4
    assert corpus.soft_ids[0, :2].tolist() == [3, 4]
    assert corpus.soft_p[0].sum() == pytest.approx(1)
    assert corpus.soft_p[0, 0] == pytest.approx(2 / 3)
    assert corpus.features[0, 0] == pytest.approx(0.5)
    assert corpus.classes == [("tench", "Tinca tinca"), ("goldfish",)]
    assert data.lvis_names(shards) == ["mug", "sofa"]


def test_preparing_twice_decodes_once(shards: Path, tmp_path: Path) -> None:
    data.prepare(shards, tmp_path / "cache", workers=1)
    for shard in shards.glob("train-*"):
        shard.unlink()
    data.prepare(shards, tmp_path / "cache", workers=1)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["corpus.json", "images.npy"]


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train-\*"):
        data.prepare(tmp_path, tmp_path / "cache")
