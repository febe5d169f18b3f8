"""Ranking against plain references."""

import numpy as np
import pytest

from models.labels.label_matrix import LabelMatrix
from models.scoring.ranking import best, rank, softmax

RNG = np.random.default_rng(0)


def unit(n: int, d: int) -> np.ndarray:
    rows = RNG.normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_probabilities_are_the_softmax_of_the_scaled_cosines() -> None:
    vectors, query = unit(5, 8), unit(1, 8)[0]
    ranked = rank(query, LabelMatrix(("a", "b", "c", "d", "e"), vectors), logit_scale=100.0)
    cosines = {label: float(row @ query) for label, row in zip("abcde", vectors, strict=True)}
    exponents = {label: np.exp(100.0 * cosine) for label, cosine in cosines.items()}
    assert [item.label for item in ranked] == sorted(cosines, key=lambda label: -cosines[label])
    for item in ranked:
        assert item.similarity == pytest.approx(cosines[item.label], abs=1e-6)
        assert item.probability == pytest.approx(exponents[item.label] / sum(exponents.values()), abs=1e-5)


def test_top_k_keeps_the_best_and_their_probabilities() -> None:
    matrix = LabelMatrix(tuple(map(str, range(1000))), unit(1000, 16))
    query = unit(1, 16)[0]
    everything = rank(query, matrix, logit_scale=10.0)
    assert rank(query, matrix, logit_scale=10.0, top_k=5) == everything[:5]
    assert rank(query, matrix, logit_scale=10.0, top_k=5000) == everything


def test_equal_similarities_keep_the_callers_order() -> None:
    scores = np.array([0.5, 0.9, 0.5, 0.9, 0.5], dtype=np.float32)
    assert best(scores, None).tolist() == [1, 3, 0, 2, 4]
    assert best(scores, 3).tolist() == [1, 3, 0]


def test_softmax_of_large_logits_does_not_overflow() -> None:
    assert softmax(np.array([1e4, 0.0, -1e4])).tolist() == [1.0, 0.0, 0.0]
