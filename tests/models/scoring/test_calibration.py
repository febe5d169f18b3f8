"""models/scoring/calibration.py against plain loops and a grid search."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.errors import InvalidRequest
from models.scoring.calibration import BINS, ece, fit, nll, outcomes, reliability, temperature
from models.scoring.ranking import softmax


def drawn(seed: int, images: int, classes: int, true_temperature: float):
    """Logits whose labels are drawn from softmax(logits / true_temperature): the fit should find it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(images, classes)) * 4
    truth = np.array([rng.choice(classes, p=row) for row in softmax(logits / true_temperature)])
    return logits, truth


def plain_nll(logits, truth, t: float) -> float:
    total = 0.0
    for row, right in zip(logits, truth, strict=True):
        total += math.log(sum(math.exp((x - row[right]) / t) for x in row))
    return total / len(truth)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(true_temperature: float) -> None:
    logits, truth = drawn(1, 20_000, 6, true_temperature)
    assert temperature(logits, truth) == pytest.approx(true_temperature, rel=0.05)


def test_no_temperature_of_a_fine_grid_has_a_lower_likelihood_loss() -> None:
    logits, truth = drawn(2, 60, 5, 2.0)
    found = temperature(logits, truth)

    def loss(t: float) -> float:  # one picture in 61 counts as of no known label
        unknown = sum(plain_nll(logits, np.full(60, label), t) for label in range(5)) / 5
        return plain_nll(logits, truth, t) * 60 / 61 + unknown / 61

    best = min(np.geomspace(0.2, 20, 400), key=loss)
    assert found == pytest.approx(best, rel=0.02)
    assert loss(found) <= loss(best) + 1e-12
    assert nll(softmax(logits / found), truth) == pytest.approx(plain_nll(logits, truth, found))


def test_a_small_set_without_a_mistake_still_leaves_room_for_doubt() -> None:
    truth = np.arange(40) % 4
    logits = np.eye(4)[truth] * 8
    surest = softmax(logits / temperature(logits, truth)).max(axis=1)
    assert surest == pytest.approx(np.full(40, 1 - 0.75 / 41), abs=1e-6)


def test_ece_is_what_a_plain_loop_over_bins_gives() -> None:
    rng = np.random.default_rng(3)
    confidence = rng.uniform(size=500)
    confidence[:3] = (0.0, 1.0, 1 / BINS)
    correct = rng.uniform(size=500) < confidence**2
    expected = 0.0
    for i in range(BINS):
        inside = [
            k
            for k in range(500)
            if i / BINS < confidence[k] <= (i + 1) / BINS or (i == 0 and confidence[k] == 0)
        ]
        if inside:
            gap = sum(float(correct[k]) - confidence[k] for k in inside) / len(inside)
            expected += abs(gap) * len(inside) / 500
    assert ece(confidence, correct) == pytest.approx(expected)
    columns = reliability(confidence, correct)
    assert sum(column.count for column in columns) == 500
    assert all(column.lower <= column.confidence <= column.upper for column in columns)


def test_ece_of_known_cases() -> None:
    half = np.array([True, False] * 50)
    assert ece(np.full(100, 0.5), half) == pytest.approx(0.0)
    assert ece(np.full(100, 1.0), half) == pytest.approx(0.5)
    assert ece(np.empty(0), np.empty(0, bool)) == 0.0


def test_a_fit_makes_overconfident_logits_honest_and_changes_no_ranking() -> None:
    logits, truth = drawn(4, 2_000, 8, 5.0)
    result = fit(logits, truth)
    assert result.temperature == pytest.approx(5.0, rel=0.15)
    assert result.ece_after < 0.05 < 0.2 < result.ece_before
    assert result.nll_after < result.nll_before
    before, after = outcomes(softmax(logits), truth), outcomes(softmax(logits / result.temperature), truth)
    assert (before[1] == after[1]).all()


def test_a_handful_of_pictures_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        fit(np.zeros((5, 2)), np.zeros(5, dtype=np.intp))
    assert caught.value.field == "images"
