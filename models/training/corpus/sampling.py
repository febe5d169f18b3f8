"""Which pictures a step holds and which texts of their own they bring."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from models.training.corpus.dataset import Corpus
from models.training.corpus.name_banks import Words

TEMPLATES = (
    "a photo of a {}.",
    "a {}",
    "the {}",
    "a picture of a {}",
    "a photo of the {}.",
    "an image of a {}",
    "a photograph of a {}",
    "a small {}",
    "a photo of one {}.",
    "this is a {}.",
)
NEAREST = 0.25  # chance that a picture's nearest more general name is picked, then the next, and so on
MORE_GENERAL = 0.25  # share of the texts that are such names
IN_TEMPLATE = 0.15  # share of the names that stand in a template
FEW_WORDS = 4  # a text of fewer is a name
COARSE = "tiny-imagenet"  # its 64 px show the image tower nothing that it could learn from


def chances(corpus: Corpus, *, sharp: bool = False) -> NDArray[np.float64]:
    """(N,) the probability of drawing each picture: sources count by the root of their size.

    `sharp`: of one that runs through the image tower.
    """
    sources = ["captions" if c else s for c, s in zip(corpus.captioned, corpus.sources, strict=True)]
    names, where, counts = np.unique(sources, return_inverse=True, return_counts=True)
    found: NDArray[np.float64] = 1 / np.sqrt(counts[where])
    if sharp and not np.all(names == COARSE):
        found[np.array(sources) == COARSE] *= 0.2
    found /= found.sum()
    return found


def draw(
    corpus: Corpus, chance: NDArray[np.float64], count: int, captions: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """`count` pictures, the first `captions` of them captioned ones, where there are any."""
    chosen = rng.choice(len(corpus), min(count, len(corpus)), p=chance, replace=False)
    captioned = np.flatnonzero(corpus.captioned)
    some = rng.choice(captioned, min(captions, len(captioned), len(chosen)), replace=False)
    chosen[: len(some)] = some
    return chosen


def own_texts(
    words: Words, chosen: NDArray[np.int64], rng: np.random.Generator
) -> tuple[list[str], torch.Tensor]:
    """One text a picture, each only once (T of them), and which is true of which picture: (B, T) bool."""
    texts: dict[str, int] = {}
    for i in chosen:
        texts.setdefault(_pick(words, int(i), rng), len(texts))
    match = torch.zeros(len(chosen), len(texts), dtype=torch.bool)
    for row, i in enumerate(chosen):
        for text in (*words.own[i], *words.kinds[i]):
            if text in texts:
                match[row, texts[text]] = True
    return list(texts), match


def _pick(words: Words, i: int, rng: np.random.Generator) -> str:
    own, kinds = words.own[i], words.kinds[i]
    if kinds and rng.random() < MORE_GENERAL:
        return kinds[min(int(rng.geometric(NEAREST)), len(kinds)) - 1]
    return own[int(rng.integers(len(own)))]


def wrapped(texts: list[str], rng: np.random.Generator) -> list[str]:
    """Some of the texts inside a template, when they are names rather than captions."""
    return [
        TEMPLATES[int(rng.integers(len(TEMPLATES)))].format(text)
        if len(text.split()) < FEW_WORDS and rng.random() < IN_TEMPLATE
        else text
        for text in texts
    ]
