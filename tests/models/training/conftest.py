"""A corpus of two dozen coloured squares and a text teacher of chance: a whole training in seconds."""

from __future__ import annotations

import argparse
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from PIL import Image

from models.training import __main__ as command
from models.training import data, teacher, tower
from tests.models.training.test_wordnet import write_words

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 40, 220)}
TOWER = "test_efficientnet"  # timm's smallest tower that is built as EfficientNet-Lite is
SIDE = 64  # px
CONFIG = tower.config(TOWER, SIDE, width=64, layers=1)
SECONDS = 1.0  # of each phase


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def square(colour: tuple[int, int, int], *, size: tuple[int, int] = (100, 80), kind: str = "WEBP") -> bytes:
    """A picture file of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def write_corpus(folder: Path) -> None:
    """24 squares in two shards, every fourth with captions."""
    folder.mkdir()
    for shard in ("train-000", "add-000"):
        with tarfile.open(folder / f"{shard}.tar.gz", "w:gz") as tar:
            for i in range(12):
                colour = list(COLOURS)[i % 3]
                texts = {"captions": [f"a cat on a {colour} square", "a square"]}
                sample = {"source": "clothing", "labels": [colour]} if i % 4 else {"source": "coco", **texts}
                add(tar, f"{i:06d}.webp", square(COLOURS[colour]))
                add(tar, f"{i:06d}.json", json.dumps(sample).encode())
    np.savez(folder / "clip_text_embeddings.npz", names=np.array(["mug", "sofa"]))
    classes = [*COLOURS, "house cat, cat", *(f"thing {i}" for i in range(996))]
    (folder / "imagenet_classes.txt").write_text("\n".join(classes) + "\n")


def write_eval(folder: Path) -> None:
    """Two squares of each colour."""
    folder.mkdir()
    with tarfile.open(folder / "imagenette.tar.gz", "w:gz") as tar:
        for name, colour in COLOURS.items():
            for number in range(2):
                add(tar, f"{name}/{number}.jpg", square(colour, kind="JPEG"))


def write_lite(file: Path) -> None:
    """Weights of chance as the package has them: timm's order, other names."""
    torch.manual_seed(0)
    state = timm.create_model(TOWER, pretrained=False).state_dict()
    torch.save({f"layer.{i}.{name.rpartition('.')[2]}": v for i, (name, v) in enumerate(state.items())}, file)


def by_chance(texts: list[str]) -> NDArray[np.float32]:
    """Instead of MiniLM's: the same vector for the same string."""
    rows = [np.random.default_rng(crc32(text.encode())).standard_normal(teacher.DIM) for text in texts]
    found: NDArray[np.float32] = np.stack(rows).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


class Place:
    """Folders of everything that the command needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_corpus(folder / "corpus")
        write_eval(folder / "eval")
        (folder / "words").mkdir()
        write_words(folder / "words")
        write_lite(folder / "lite.pth")

    def arguments(self, step: str, **other: Any) -> list[str]:
        folders = {name: self.folder / name for name in ("corpus", "eval", "words", "cache", "out")}
        given = {
            **folders,
            "lite": self.folder / "lite.pth",
            "image-tower": TOWER,
            "image-size": SIDE,
            "hours": SECONDS / 3600,
            **other,
        }
        return [step, *(part for name, value in given.items() for part in (f"--{name}", str(value)))]

    def options(self, step: str) -> argparse.Namespace:
        return command.options(self.arguments(step))

    def run(self, step: str, **other: Any) -> None:
        command.main(self.arguments(step, **other))

    @property
    def cache(self) -> Path:
        return self.folder / "cache"


def prepared(folder: Path) -> data.Corpus:
    """A corpus of its own, of which nothing was learnt yet."""
    place = Place(folder)
    data.prepare(folder / "corpus", place.cache)
    return data.load(folder / "corpus", place.cache)


@pytest.fixture
def corpus(tmp_path: Path) -> data.Corpus:
    return prepared(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Where `all` has been run."""
    place = Place(tmp_path_factory.mktemp("training"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teacher, "_encode", by_chance)
        patch.setattr(sys.modules["models.training.lesson"], "token_strings", lambda: [*COLOURS, "cat"] * 100)
        place.run("all")
    return place
