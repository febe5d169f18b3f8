"""Zero-shot accuracy while the training runs: class names as they stand, nothing of it ever trained on.

Also asks what a stranger would ask of scikit-image's photographs, where scikit-image is installed.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from models.training import tower
from models.training.augment import normalise, shrink
from models.training.data import SIDE, squash

SETS = ("imagenette", "caltech101", "imagenet-1k-one-each")
# Of each photograph the right label, then wrong ones (bundled with scikit-image, no download).
QUESTIONS = {
    "chelsea.png": ("cat", "dog", "horse", "car"),
    "coffee.png": ("coffee cup", "bowl of soup", "laptop"),
    "astronaut.png": ("astronaut", "firefighter", "chef"),
    "rocket.jpg": ("rocket", "lighthouse", "airplane"),
    "motorcycle_left.png": ("motorcycle", "bicycle", "tractor"),
}


@dataclass(frozen=True, slots=True)
class ZeroShotSet:
    """Labelled pictures in memory."""

    name: str
    classes: list[str]
    images: NDArray[np.uint8]  # (N, SIDE, SIDE, 3)
    labels: torch.Tensor  # (N,) rows of `classes`


def read_sets(folder: Path, cache: Path) -> list[ZeroShotSet]:
    """Those of SETS that are in `folder`."""
    paths = [folder / f"{name}.tar.gz" for name in SETS]
    return [read_set(path, cache) for path in paths if path.is_file()]


def read_set(path: Path, cache: Path) -> ZeroShotSet:
    """A tar of class/name.jpg, squashed as the served model does it; kept decoded in the cache."""
    name = path.name.removesuffix(".tar.gz")
    stored = cache / f"eval-{name}.npz"
    if not stored.is_file():
        images, of = [], []
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None:
                    images.append(squash(file.read()))
                    of.append(Path(member.name).parent.name)
        classes = sorted(set(of))
        np.savez(stored, images=np.stack(images), classes=classes, labels=[classes.index(c) for c in of])
    with np.load(stored) as kept:
        return ZeroShotSet(
            name, [str(c) for c in kept["classes"]], kept["images"], torch.from_numpy(kept["labels"])
        )


@torch.no_grad()
def encode_images(visual: Any, images: NDArray[np.uint8], side: int, *, batch: int = 64) -> torch.Tensor:
    """(N, SIDE, SIDE, 3) -> unit rows (N, D), at `side` px."""
    rows, device = [], next(visual.parameters()).device
    for start in range(0, len(images), batch):
        x = shrink(normalise(torch.from_numpy(images[start : start + batch].copy()).to(device)), side)
        rows.append(tower.encode_image(visual, x.contiguous(memory_format=torch.channels_last)))
    return torch.cat(rows)


def evaluate(model: Any, sets: list[ZeroShotSet], side: int) -> dict[str, float]:
    """Top-1 accuracy on every set, and how many of scikit-image's photographs are answered rightly."""
    training = model.training
    model.eval()
    found = {}
    for each in sets:
        bank = tower.encode_texts(model.text, each.classes)  # (C, D)
        guessed = (encode_images(model.visual, each.images, side) @ bank.T).argmax(dim=1).cpu()
        found[each.name] = float((guessed == each.labels).float().mean())
    answers = ask(model, side)
    if answers:
        found["photographs"] = sum(a[0][0] == right for right, a in answers.items()) / len(answers)
    model.train(training)
    return found


@torch.no_grad()
def ask(model: Any, side: int) -> dict[str, list[tuple[str, float]]]:
    """For each photograph of scikit-image its right label: all its labels by similarity, the best first."""
    try:
        from skimage.data import data_dir
    except ImportError:
        return {}
    answers = {}
    for file, labels in QUESTIONS.items():
        path = Path(data_dir) / file
        if not path.is_file():
            continue
        with Image.open(path) as picture:
            resized = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        row = encode_images(model.visual, np.asarray(resized)[None], side)  # (1, D)
        similar = (row @ F.normalize(tower.encode_texts(model.text, labels), dim=-1).T)[0].tolist()
        answers[labels[0]] = sorted(zip(labels, similar, strict=True), key=lambda pair: -pair[1])
    return answers
