"""None of these: does a picture fit any of the labels? After NegLabel (arXiv 2403.20078), without training.

The labels compete with nouns that have nothing to do with them (`nouns.txt`, encoded once a model). The score
is the share of probability that the labels keep; a picture of something else gives its share to the nouns.
Unlike the paper's, both sides weigh the same however many they are (the mean of the exponentials, not their
sum), so that a score means the same for 3 labels as for 300: 0.5 is a picture that fits the labels no better
than it fits anything. The paper's groups of nouns and its choice of distant ones are left away; nouns are
left out only where they may mean the same as a label. bench/answers.py measures both.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.scoring.ranking import cosines

THRESHOLD: Final = 0.5
"""Score below which a picture is said to fit none of the labels: it fits unrelated words better. How many
pictures this keeps and refuses is measured in bench/answers.py and told in docs/better-answers.md."""
KEPT: Final = 0.95
"""Share of the bank that stays; the nouns nearest to a label may well be its synonyms."""
SAME: Final = 0.95
"""Cosine from which two texts say the same."""
LEAST: Final = 100
"""Nouns that stay in any case: a long list of labels may hold nearly all of them."""

Vectors = NDArray[np.float32]


@cache
def nouns() -> tuple[str, ...]:
    """The bank that ships with Candid: concrete nouns of WordNet, in alphabetical order."""
    lines = resources.files("models.scoring").joinpath("nouns.txt").read_text("utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def unrelated(matrix: Vectors, bank: Vectors, *, kept: float = KEPT) -> NDArray[np.intp]:
    """Which rows of bank (K, D) to compare the labels (N, D) with: the `kept` share furthest from them, less
    those that are labels themselves.

    Depends on the labels only, so it is worth keeping with a label set.
    """
    closeness = np.full(len(bank), -np.inf, dtype=np.float32)  # (K,)
    for label in matrix:
        np.maximum(closeness, cosines(label, bank), out=closeness)
    others = max(LEAST, int((closeness < SAME).sum()))
    return np.sort(np.argsort(closeness, kind="stable")[: max(1, min(others, round(kept * len(bank))))])


def score(
    to_labels: Vectors,  # (…, N): similarities of pictures to the labels
    to_nouns: Vectors,  # (…, K): of the same pictures to unrelated nouns
    *,
    logit_scale: float,
) -> NDArray[np.float64]:
    """The share of probability that the labels keep, 0 … 1: (…,)."""
    labels = _log_mean_exp(logit_scale * np.asarray(to_labels, dtype=np.float64))  # (…,)
    nouns = _log_mean_exp(logit_scale * np.asarray(to_nouns, dtype=np.float64))  # (…,)
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(nouns - labels, -700, 700))))


def _log_mean_exp(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the last axis, without overflow."""
    top = logits.max(axis=-1, keepdims=True)
    return np.asarray((top + np.log(np.exp(logits - top).mean(axis=-1, keepdims=True)))[..., 0])
