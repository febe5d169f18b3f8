"""Figures that several measurements share: AUROC, and means with their spread, rounded for a JSON file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]


def auroc(known: Floats, unknown: Floats) -> float:
    """Chance that a known one scores higher than an unknown one; ties count half."""
    values, counts = np.unique(np.concatenate([known, unknown]), return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2  # mean rank of each value
    total = rank[np.searchsorted(values, known)].sum()
    return float((total - len(known) * (len(known) + 1) / 2) / (len(known) * len(unknown)))


def spread(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Mean and standard deviation of each figure over the draws."""
    return {
        key: {
            "mean": round(float(np.mean([row[key] for row in rows])), 4),
            "sd": round(float(np.std([row[key] for row in rows], ddof=1)), 4),
        }
        for key in rows[0]
    }


def rounded(**values: float) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in values.items()}
