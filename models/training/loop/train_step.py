"""One step's losses, in every phase: pictures against banks of names and against texts of their own.

Notable: all names of a step run through the text tower at once and all have a gradient. Refuses to know about
optimizers, clocks and files.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.training.corpus import sampling
from models.training.corpus.dataset import Corpus
from models.training.corpus.name_banks import Words
from models.training.loop import distillation, losses
from models.training.loop.phases import Phase
from models.training.model import augmentation, towers
from models.training.model.image_features import VIEWS, Features

OF_VIEWS = (0.45, 0.35, 0.2)  # how often the middle, a crop and a small view of a picture is taken
NOISE = 0.5  # of a class' features, times the spread within a class
PARTS = 4  # of like lengths, in which a step's texts are run: captions are far longer than names


@dataclass(slots=True)
class Material:
    """What all phases learn from."""

    corpus: Corpus
    features: Features
    words: Words
    distilled: distillation.Targets
    side: int  # px
    kinds_of_classes: NDArray[np.float32]  # (C, K)
    rows: dict[str, torch.Tensor] = field(
        default_factory=dict
    )  # (C, D) by bank: where its names are drawn to


def of_step(
    model: Any, phase: Phase, given: Material, rng: np.random.Generator, pool: ThreadPoolExecutor
) -> dict[str, torch.Tensor]:
    """The phase's losses, not yet weighed."""
    found: dict[str, torch.Tensor] = {}
    if phase.fresh or phase.cached:
        found = _of_pictures(model, phase, given, rng, pool)
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    found["replay"] = distillation.loss(model.text, *given.distilled.draw(phase.replay, generator))
    return found


def _of_pictures(
    model: Any, phase: Phase, given: Material, rng: np.random.Generator, pool: ThreadPoolExecutor
) -> dict[str, torch.Tensor]:
    sets = pictures(model, phase, given, rng, pool)  # the first brings the texts
    drawn = {
        name: bank.draw(phase.names[name], phase.strangers, rng) for name, bank in given.words.banks.items()
    }
    first, first_rows = sets[0][0][: phase.pairs], sets[0][1][: phase.pairs]  # (P,), (P, D)
    own, match = sampling.own_texts(given.words, first, rng)
    texts = [*(texts for _, texts in drawn.values()), own]
    ids = towers.tokenise(sampling.wrapped([text for each in texts for text in each], rng))
    vectors = towers.encode_in_parts(model.text, ids, parts=PARTS)  # (T, D)
    *named, of_own = torch.split(vectors, [len(each) for each in texts])
    scale = model.logit_scale.exp()
    found = {"contrastive": losses.contrastive(first_rows, of_own, match.to(vectors.device), scale)}
    far: list[torch.Tensor] = []
    for (name, bank), vector in zip(given.words.banks.items(), named, strict=True):
        columns = drawn[name][0]
        found[name] = torch.stack(
            [
                losses.names(rows, vector, _like(bank.wanted(chosen, columns), rows), scale)
                for chosen, rows in sets
            ]
        ).sum()
        if name in given.rows:
            wanted = given.rows[name][torch.from_numpy(columns)].to(vector.device)
            far.append(1 - (vector[: len(columns)] * wanted).sum(dim=1).mean())
        if name == "classes":
            classes = columns[: phase.of_classes]  # columns are in random order
            of_classes = towers.project(model.visual, _like(class_features(given, classes, rng), vectors))
            wanted = torch.eye(len(columns), device=vectors.device)[: len(classes)]
            found["of_classes"] = losses.names(of_classes, vector, wanted, scale)
        if name == "kinds":
            wanted = _like(given.kinds_of_classes[np.ix_(classes, columns)], vectors)
            found["of_kinds"] = losses.names(of_classes, vector, wanted, scale)
    if far:
        found["rows"] = torch.stack(far).mean()
    return found


def pictures(
    model: Any, phase: Phase, given: Material, rng: np.random.Generator, pool: ThreadPoolExecutor
) -> list[tuple[NDArray[np.int64], torch.Tensor]]:
    """The step's pictures and their unit rows: those that run through the tower, then those that did."""
    found, captions = [], phase.pairs // 2
    if phase.fresh:
        chance = sampling.chances(given.corpus, sharp=True)
        chosen = sampling.draw(given.corpus, chance, phase.fresh, captions, rng)
        seeds = rng.integers(2**31, size=len(chosen))

        def view(i: int, seed: int) -> augmentation.View:
            return augmentation.fresh(given.corpus.picture(i), given.side, random.Random(seed))

        pixels = augmentation.normalise(np.stack(list(pool.map(view, chosen.tolist(), seeds.tolist()))))
        x = torch.from_numpy(pixels).to(model.logit_scale.device, memory_format=torch.channels_last)
        found.append((chosen, towers.encode_image(model.visual, x)))
    if phase.cached:
        chosen = sampling.draw(given.corpus, sampling.chances(given.corpus), phase.cached, captions, rng)
        seen = rng.choice(VIEWS, p=OF_VIEWS, size=len(chosen))
        rows = _like(given.features.views[chosen, seen].astype(np.float32), model.logit_scale)
        found.append((chosen, towers.project(model.visual, rows)))
    return found


def class_features(
    given: Material, chosen: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float32]:
    """What pictures of the classes `chosen` would have: (C, F)."""
    mean, spread = given.features.of_classes[chosen], given.features.spread
    found: NDArray[np.float32] = mean + NOISE * spread * rng.standard_normal(mean.shape, np.float32)
    return np.maximum(found, 0)  # as the tower's last activation leaves them


def _like(array: NDArray[np.float32], tensor: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(array).to(tensor.device)
