"""Zero-shot accuracy while the training runs: class names as they stand, nothing of it ever trained on.

Also asks what a stranger would ask of scikit-image's photographs, where scikit-image is installed.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.training.model import augmentation, towers

SETS = ("imagenette", "caltech101", "imagenet-1k-one-each")
BATCH = 32  # pictures at once
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
    """Labelled pictures, still encoded."""

    name: str
    classes: list[str]
    files: list[bytes]  # N
    labels: torch.Tensor  # (N,) rows of `classes`
    side: int  # px


def read_sets(folder: Path, side: int) -> list[ZeroShotSet]:
    """Those of SETS that are in `folder`."""
    paths = [folder / f"{name}.tar.gz" for name in SETS]
    return [read_set(path, side) for path in paths if path.is_file()]


def read_set(path: Path, side: int) -> ZeroShotSet:
    """A tar of class/name.jpg."""
    files, of = [], []
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                files.append(file.read())
                of.append(Path(member.name).parent.name)
    classes = sorted(set(of))
    labels = torch.tensor([classes.index(each) for each in of])
    return ZeroShotSet(path.name.removesuffix(".tar.gz"), classes, files, labels, side)


@torch.no_grad()
def encode(visual: Any, files: Sequence[bytes], side: int) -> torch.Tensor:
    """Picture files -> unit rows (N, D), cropped as the served model does it."""
    rows = []
    for start in range(0, len(files), BATCH):
        seen = np.stack([augmentation.centre(file, side) for file in files[start : start + BATCH]])
        x = torch.from_numpy(augmentation.normalise(seen)).to(towers.device())
        rows.append(towers.encode_image(visual, x.contiguous(memory_format=torch.channels_last)))
    return torch.cat(rows)


def evaluate(model: Any, sets: list[ZeroShotSet]) -> dict[str, float]:
    """Top-1 accuracy on every set, and how many of scikit-image's photographs are answered rightly."""
    found = {}
    for each in sets:
        bank = towers.encode_texts(model.text, each.classes)  # (C, D)
        guessed = (encode(model.visual, each.files, each.side) @ bank.T).argmax(dim=1).cpu()
        found[f"top1 {each.name}"] = round(float((guessed == each.labels).float().mean()), 4)
    answers = ask(model, sets[0].side) if sets else {}
    if answers:
        found["top1 photographs"] = sum(a[0][0] == right for right, a in answers.items()) / len(answers)
    return found


def ask(model: Any, side: int) -> dict[str, list[tuple[str, float]]]:
    """For each photograph of scikit-image its right label: all its labels by similarity, the best first."""
    try:
        from skimage.data import data_dir
    except ImportError:
        return {}
    answers = {}
    for file, labels in QUESTIONS.items():
        path = Path(data_dir) / file
        if path.is_file():
            row = encode(model.visual, [path.read_bytes()], side)  # (1, D)
            similar = (row @ towers.encode_texts(model.text, labels).T)[0].tolist()
            answers[labels[0]] = sorted(zip(labels, similar, strict=True), key=lambda pair: -pair[1])
    return answers
