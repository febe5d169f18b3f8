"""A corpus of two dozen coloured squares and a text lesson of four words: a whole training in seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.training import tower
from models.training.data import SIDE, SOFT, Corpus
from models.training.learner import Run, begin
from models.training.mentions import Mentions
from models.training.names import Names
from models.training.text import Lesson

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 40, 220)}
CONFIG = tower.config("test_efficientnet", 64, width=64, layers=1)


@pytest.fixture
def corpus() -> Corpus:
    rng = np.random.default_rng(0)
    images = np.zeros((24, SIDE, SIDE, 3), np.uint8)
    names = [list(COLOURS)[i % 3] for i in range(24)]
    for i, name in enumerate(names):
        images[i] = np.clip(np.array(COLOURS[name]) + rng.integers(-20, 20, (SIDE, SIDE, 3)), 0, 255)
    soft_ids, soft_p = np.zeros((24, SOFT), np.int64), np.zeros((24, SOFT), np.float32)
    soft_ids[:, 0], soft_p[:, 0] = [i % 3 for i in range(24)], 1.0
    return Corpus(
        images=images,
        sources=["flickr8k" if i < 6 else "clothing" for i in range(24)],
        wnids=[None] * 24,
        texts=[(name, f"a {name} square") for name in names],
        soft_ids=soft_ids,
        soft_p=soft_p,
        features=rng.standard_normal((20, 160)).astype(np.float32),
        classes=[(name,) for name in COLOURS],
    )


@pytest.fixture
def lesson() -> Lesson:
    texts = [*COLOURS, "shape"]
    ids = tower.tokenise(texts)
    targets = F.normalize(torch.randn(4, tower.EMBED_DIM, generator=torch.Generator().manual_seed(1)), dim=-1)
    return Lesson(texts, targets, ids, ids.argmax(dim=-1) + 1, torch.ones(4), torch.ones(4, dtype=torch.bool))


@pytest.fixture
def start(corpus: Corpus, lesson: Lesson) -> Callable[[], Run]:
    """Begins a run on a small model, always the same one."""

    def run() -> Run:
        torch.manual_seed(0)
        model: Any = tower.build(CONFIG).train()
        bank = list(COLOURS)
        ids, p = np.zeros((24, 2), np.int64), np.zeros((24, 2), np.float32)
        ids[:, 0], p[6:, 0] = [i % 3 for i in range(24)], 1.0
        kinds = ["colour", "warm colour"], np.array([[0.5, 0.5], [1, 0], [1, 0]], np.float32)
        said = np.zeros((24, 1), np.float32)
        said[:6] = 1.0
        names = Names(
            corpus.texts,
            [("colour",)] * 24,
            [()] * 24,
            bank,
            ids,
            p,
            *kinds,
            strangers=["shape"],
            mentions=Mentions(bank, ids[:, :1], said),
        )
        return begin(model, corpus, names, lesson, batch=12, seed=0)

    return run
