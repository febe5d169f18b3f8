"""Rejection measured: half of the labels are known, pictures of the other half should be refused.

Beside NegLabel as Candid has it: the largest softmax probability, the largest cosine, and the paper's own
choice of nouns and groups (arXiv 2403.20078).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.figures import auroc, spread
from models.scoring import out_of_set
from models.scoring.ranking import softmax

DRAWS = 5
PAPERS_SHARE = 0.15  # of the bank: those that are furthest from the labels
PAPERS_PERCENTILE = 0.95  # of a noun's similarities to the labels: how near it is to them
PAPERS_GROUP = 100  # nouns

Floats = NDArray[Any]


def rejected(
    vectors: Floats,  # (M, D)
    truth: NDArray[np.intp],  # (M,)
    matrix: Floats,  # (N, D)
    bank: Floats,  # (K, D)
    scale: float,
    *,
    known: int | None = None,
) -> dict[str, Any]:
    """AUROC and FPR at 95 % recall over the draws; `known`: so many labels instead of half of them."""
    rows: dict[str, list[dict[str, float]]] = {}
    decided = []
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(len(matrix))
        half = len(order) // 2
        given = np.sort(order[: known or half])
        ours, theirs = np.isin(truth, given), np.isin(truth, order[half:])  # (M,)
        scores = _scores(vectors, matrix[given], bank, scale)
        for name, values in scores.items():
            limit = np.quantile(values[ours], 0.05)
            figures = {"auroc": auroc(values[ours], values[theirs])}
            rows.setdefault(name, []).append(figures | {"fpr95": float((values[theirs] >= limit).mean())})
        kept = scores["neglabel"] >= out_of_set.THRESHOLD
        decided.append(
            {
                "known_kept": kept[ours].mean(),
                "unknown_refused": 1 - kept[theirs].mean(),
                "threshold_that_keeps_95": float(np.quantile(scores["neglabel"][ours], 0.05)),
            }
        )
    return {
        **{name: spread(values) for name, values in rows.items()},
        "decision": {"threshold": out_of_set.THRESHOLD, **spread(decided)},
    }


def _scores(vectors: Floats, labels: Floats, bank: Floats, scale: float) -> dict[str, Floats]:
    """Each way's score of every picture, (M,): high for one of the labels."""
    similarities = vectors @ labels.T  # (M, N)
    nouns = bank[out_of_set.unrelated(labels, bank)]
    return {
        "max_softmax": softmax(scale * similarities.astype(np.float64)).max(axis=1),
        "max_cosine": similarities.max(axis=1),
        "neglabel": out_of_set.score(vectors @ labels.T, vectors @ nouns.T, logit_scale=scale),
        "neglabel_all_nouns": out_of_set.score(vectors @ labels.T, vectors @ bank.T, logit_scale=scale),
        "neglabel_as_published": _as_published(vectors, labels, bank, scale),
    }


def _as_published(vectors: Floats, labels: Floats, bank: Floats, scale: float) -> Floats:
    """The most distant nouns in random groups; sums of exponentials; the mean of the groups' scores."""
    nearness = np.quantile(bank @ labels.T, PAPERS_PERCENTILE, axis=1)  # (K,)
    distant = np.argsort(nearness, kind="stable")[: round(PAPERS_SHARE * len(bank))]
    groups = np.array_split(
        np.random.default_rng(0).permutation(distant), max(1, len(distant) // PAPERS_GROUP)
    )
    ours = np.exp(scale * (vectors @ labels.T).astype(np.float64)).sum(axis=1)  # (M,): scale < 700
    shares = [
        ours / (ours + np.exp(scale * (vectors @ bank[group].T).astype(np.float64)).sum(axis=1))
        for group in groups
    ]
    return np.asarray(np.mean(shares, axis=0))
