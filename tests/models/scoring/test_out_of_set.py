"""models/scoring/out_of_set.py against plain sums, and the bank that ships."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.scoring.out_of_set import nouns, score, unrelated


def unit(rng, *shape: int):
    rows = rng.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def scored(queries, matrix, bank, *, logit_scale: float):
    return score(queries @ matrix.T, queries @ bank.T, logit_scale=logit_scale)


def plain(query, matrix, bank, scale: float) -> float:
    """The labels' share when both sides weigh the same."""
    ours = sum(math.exp(scale * float(np.dot(query, row))) for row in matrix) / len(matrix)
    theirs = sum(math.exp(scale * float(np.dot(query, row))) for row in bank) / len(bank)
    return ours / (ours + theirs)


@pytest.mark.parametrize(("labels", "scale"), [(1, 100.0), (3, 20.0), (7, 100.0)])
def test_the_score_is_the_share_of_the_labels(labels: int, scale: float) -> None:
    rng = np.random.default_rng(labels)
    matrix, bank, queries = unit(rng, labels, 16), unit(rng, 40, 16), unit(rng, 5, 16)
    together = scored(queries, matrix, bank, logit_scale=scale)
    for query, found in zip(queries, together, strict=True):
        assert found == pytest.approx(plain(query, matrix, bank, scale), rel=1e-4, abs=1e-9)
        assert float(scored(query, matrix, bank, logit_scale=scale)) == pytest.approx(
            found, rel=1e-5, abs=1e-9
        )


def test_a_picture_of_a_label_scores_high_one_of_a_noun_low_and_any_other_half() -> None:
    rng = np.random.default_rng(0)
    matrix, bank = unit(rng, 5, 256), unit(rng, 500, 256)
    assert scored(matrix[2], matrix, bank, logit_scale=100) > 0.99
    assert scored(unit(rng, 400, 256), matrix, bank, logit_scale=5).mean() == pytest.approx(0.5, abs=0.05)
    assert (scored(bank[:20], matrix, bank, logit_scale=100) < 0.01).all()


def test_the_score_does_not_depend_on_how_often_a_label_is_said() -> None:
    rng = np.random.default_rng(3)
    matrix, bank, query = unit(rng, 3, 16), unit(rng, 40, 16), unit(rng, 16)
    once = scored(query, matrix, bank, logit_scale=30)
    assert scored(query, np.tile(matrix, (9, 1)), bank, logit_scale=30) == pytest.approx(once)


def test_more_labels_than_nouns_and_great_scales_stay_finite() -> None:
    rng = np.random.default_rng(1)
    found = scored(unit(rng, 3, 8), unit(rng, 50, 8), unit(rng, 20, 8), logit_scale=1e4)
    assert found.shape == (3,) and np.isfinite(found).all()


def test_nouns_close_to_a_label_are_left_out() -> None:
    rng = np.random.default_rng(2)
    matrix, bank = unit(rng, 3, 16), unit(rng, 100, 16)
    bank[17] = matrix[1]
    kept = unrelated(matrix, bank, kept=0.8)
    assert len(kept) == 80 and 17 not in kept
    closeness = (bank @ matrix.T).max(axis=1)
    assert closeness[kept].max() <= np.delete(closeness, kept).min()
    assert list(kept) == sorted(kept)


def test_the_bank_is_diverse_plain_lower_case_and_without_repeats() -> None:
    bank = nouns()
    assert 1_000 <= len(bank) <= 2_000
    assert len(set(bank)) == len(bank)
    assert all(name == name.lower().strip() and name.replace(" ", "").isalpha() for name in bank)
    assert {"horse", "guitar", "bread", "river", "oak", "nurse"} <= set(bank)
