"""Cosine similarities to a ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.labels.label_matrix import LabelMatrix


@dataclass(frozen=True, slots=True)
class Ranked:
    """One label's place in a ranking."""

    label: str
    similarity: float  # cosine, -1 … 1
    probability: float  # softmax over the model's own logit scale, 0 … 1


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax over the last axis, (…, N) -> (…, N), in double precision and without overflow."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    total: NDArray[np.float64] = shifted / shifted.sum(axis=-1, keepdims=True)
    return total


def cosines(vectors: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Similarities of unit vectors, one (D,) or several (B, D), to unit rows (N, D): (N,) or (B, N).

    Of one vector row by row: a product with a whole matrix of 1,000 labels wakes OpenBLAS's threads, which go
    on spinning for tens of milliseconds and keep the encoder from its cores.
    """
    similarities: NDArray[np.float32] = np.vecdot(rows, vectors) if vectors.ndim == 1 else vectors @ rows.T
    return similarities


def rank(
    vector: NDArray[np.float32],  # (D,), unit norm
    matrix: LabelMatrix,
    *,
    logit_scale: float,
    top_k: int | None = None,
) -> list[Ranked]:
    """Labels by cosine similarity, highest first; equal ones keep the caller's order.

    Probabilities are over all labels, also when only `top_k` are returned; a bias (SigLIP's) is the same for
    every label, so it cancels out of the softmax.
    """
    similarities = cosines(vector, matrix.vectors)  # (N,)
    probabilities = softmax(similarities.astype(np.float64) * logit_scale)  # (N,)
    return [
        Ranked(matrix.labels[i], float(similarities[i]), float(probabilities[i]))
        for i in best(similarities, top_k)
    ]


def best(scores: NDArray[np.floating], k: int | None) -> NDArray[np.intp]:
    """Indices of the `k` highest of N scores, highest first, ties in index order; None means all."""
    n = scores.shape[0]
    if k is None or k >= n:
        return np.argsort(-scores, kind="stable")
    # The k-th highest value bounds the candidates: O(N) instead of sorting 100,000 labels to show five.
    threshold = np.partition(scores, n - k)[n - k]
    candidates = np.flatnonzero(scores >= threshold)
    return candidates[np.argsort(-scores[candidates], kind="stable")][:k]
