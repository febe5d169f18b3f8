"""Which pictures a batch holds and which texts it asks about."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.training.data import Corpus
from models.training.names import Names
from models.training.text import TEMPLATES

# How often a source's pictures are drawn, against their number. Caltech-101 has few pictures a class, and
# Tiny-ImageNet's 64 px would otherwise fill three quarters of every batch.
OVERSAMPLED = {"caltech101": 2.5, "imagenette": 2.0, "flickr8k": 2.0, "tiny-imagenet": 0.8}
OTHERWISE = 0.7
NEAREST = 0.25  # chance that a picture's nearest more general name is picked, then the next, and so on


def weights(corpus: Corpus) -> NDArray[np.float64]:
    """(N,) the probability of drawing each picture."""
    found: NDArray[np.float64] = np.array([OVERSAMPLED.get(each, OTHERWISE) for each in corpus.sources])
    found /= found.sum()
    return found


def teacher_features(corpus: Corpus, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """The image teacher's features of the pictures `chosen`: (B, F), all noughts where it was not asked."""
    wanted = np.zeros((len(chosen), corpus.features.shape[1]), np.float32)
    known = chosen < len(corpus.features)
    wanted[known] = corpus.features[chosen[known]]
    return wanted


def batch_texts(
    names: Names, chosen: np.ndarray[Any, Any], rng: np.random.Generator
) -> tuple[list[str], torch.Tensor]:
    """One text a picture, each only once (T of them), and which is true of which picture: (B, T) bool."""
    texts: dict[str, int] = {}
    for i in chosen:
        texts.setdefault(_pick(names, int(i), rng), len(texts))
    match = torch.zeros(len(chosen), len(texts), dtype=torch.bool)
    for row, i in enumerate(chosen):
        for text in (*names.own[i], *names.kinds[i], *names.seen[i]):
            if text in texts:
                match[row, texts[text]] = True
    return list(texts), match


def _pick(names: Names, i: int, rng: np.random.Generator) -> str:
    draw = rng.random()
    if draw < 0.25 and names.kinds[i]:
        return names.kinds[i][min(int(rng.geometric(NEAREST)), len(names.kinds[i])) - 1]
    if draw < 0.5 and names.seen[i]:
        return names.seen[i][min(int(rng.geometric(NEAREST)), len(names.seen[i])) - 1]
    return names.own[i][int(rng.integers(len(names.own[i])))]


def wrapped(texts: list[str], rng: np.random.Generator) -> list[str]:
    """A quarter of the texts inside a template, when they are names rather than captions."""
    return [
        TEMPLATES[int(rng.integers(len(TEMPLATES)))].format(text)
        if len(text.split()) < 4 and rng.random() < 0.25
        else text
        for text in texts
    ]
