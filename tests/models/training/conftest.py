"""A corpus of two dozen coloured squares and a text teacher of chance: a whole training in seconds."""

from __future__ import annotations

import argparse
import io
import json
import tarfile
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from models.training import __main__ as command
from models.training.corpus import dataset
from models.training.loop import distillation
from models.training.model import text_teacher, towers

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 40, 220)}
TOWER = "test_efficientnet"  # timm's smallest tower that is built as EfficientNet-Lite is
SIDE = 64  # px
CONFIG = towers.config(TOWER, SIDE, width=64, layers=1)
SECONDS = 1.0  # of each phase

# Synsets in wndb.5WN's format, less what nobody reads: an animal, a cat, a proper name, a stone, a person.
NOUNS = """\
  1 This is the licence.
00000001 05 n 02 animal 0 creature 0 000 | a living thing; "it moves"
00000002 05 n 03 cat 0 house_cat 0 Felis_catus 0 001 @ 00000001 n 0000 | feline mammal
00000003 05 n 01 Garfield 0 001 @i 00000002 n 0000 | a cat of the comics
00000004 07 n 01 speed 0 000 | how fast
00000005 17 n 01 stone 0 000 | a hard thing
00000006 18 n 01 mason 0 000 | a person who works with stones
00000007 05 n 01 Siamese_cat 0 001 @ 00000002 n 0000 | a cat from Siam
"""
INDEX_OF_NOUNS = """\
  1 This is the licence.
animal n 1 0 1 0 00000001
cat n 1 1 @ 1 0 00000002
house_cat n 1 1 @ 1 0 00000002
felis_catus n 1 1 @ 1 0 00000002
garfield n 1 1 @i 1 0 00000003
speed n 1 0 1 0 00000004
stone n 1 0 1 0 00000005
mason n 1 0 1 0 00000006
siamese_cat n 1 1 @ 1 0 00000007
"""


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
    import timm  # which imports huggingface_hub, and that before the tests' hub has its address: not above

    torch.manual_seed(0)
    state = timm.create_model(TOWER, pretrained=False).state_dict()
    torch.save({f"layer.{i}.{name.rpartition('.')[2]}": v for i, (name, v) in enumerate(state.items())}, file)


def write_words(folder: Path) -> None:
    """A WordNet of seven nouns."""
    (folder / "data.noun").write_text(NOUNS)
    (folder / "index.noun").write_text(INDEX_OF_NOUNS)
    (folder / "index.adj").write_text("  1 This is the licence.\nstone a 1 0 1 0 00000008\n")
    (folder / "index.adv").write_text("  1 This is the licence.\n")


def by_chance(texts: list[str]) -> NDArray[np.float32]:
    """Instead of MiniLM's: the same vector for the same string."""
    rows = [np.random.default_rng(crc32(text.encode())).standard_normal(text_teacher.DIM) for text in texts]
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


def prepared(folder: Path) -> dataset.Corpus:
    """A corpus of its own, of which nothing was learnt yet."""
    place = Place(folder)
    dataset.prepare(folder / "corpus", place.cache)
    return dataset.load(folder / "corpus", place.cache)


@pytest.fixture
def corpus(tmp_path: Path) -> dataset.Corpus:
    return prepared(tmp_path)


@pytest.fixture
def words(tmp_path: Path) -> Path:
    write_words(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Where `all` has been run."""
    place = Place(tmp_path_factory.mktemp("training"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_teacher, "_encode", by_chance)
        patch.setattr(distillation, "token_strings", lambda: [*COLOURS, "cat"] * 100)
        place.run("all")
    return place
