"""models/scoring/fitting.py: a curve honest for pictures of one label and of two, whatever the geometry."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import InvalidRequest
from models.labels.label_matrix import LabelMatrix
from models.labels.label_set import LabelSet
from models.scoring.calibration import ece
from models.scoring.fitting import AT_ONCE, fit
from models.scoring.multi_label import DEFAULT
from models.scoring.scorer import Scorer, above_nouns, scorer

N, D = 12, 48
NAMES = tuple(f"label {i}" for i in range(N))


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def world(rng: np.random.Generator, pictures: int, *, cone: float = 0.0):
    """A scorer, pictures' vectors and what they show; `cone`: how far all texts lie to one side."""
    ideas = unit(rng.normal(size=(N, D)))
    aside = cone * unit(rng.normal(size=D))
    bank = unit(unit(rng.normal(size=(300, D))) + aside)
    made = scorer(
        LabelSet((), mode="multi"), LabelMatrix(NAMES, unit(ideas + aside)), logit_scale=30.0, bank=bank
    )
    truth = rng.integers(N, size=pictures)
    return made, ideas, unit(ideas[truth] + 0.35 * rng.normal(size=(pictures, D))), truth


def off(made: Scorer, curve, vectors: np.ndarray, there: np.ndarray, rng: np.random.Generator) -> float:
    """ECE where a fifth of the labels asked for are there."""
    absent = ~there & (rng.uniform(size=there.shape) < 4 * there.sum() / (~there).sum())
    asked = there | absent
    return ece(curve(above_nouns(made, vectors))[asked], there[asked])


@pytest.mark.parametrize("cone", [0.0, 1.5])
def test_it_is_honest_for_one_thing_and_for_two(cone: float) -> None:
    rng = np.random.default_rng(0)
    made, ideas, vectors, truth = world(rng, 400, cone=cone)
    found = fit(made, vectors[:200], truth[:200]).curve
    assert found is not None and found.ece_after < found.ece_before
    there = np.eye(N, dtype=bool)[truth[200:]]
    second = rng.integers(N, size=200)
    two = unit(ideas[truth[200:]] + ideas[second] + 0.5 * rng.normal(size=(200, D)))
    for seen, holds in ((vectors[200:], there), (two, there | np.eye(N, dtype=bool)[second])):
        error = off(made, found.curve, seen, holds, np.random.default_rng(1))
        assert error < 0.08
        assert error < off(made, DEFAULT, seen, holds, np.random.default_rng(1))


def test_what_needs_no_curve_gets_none() -> None:
    rng = np.random.default_rng(1)
    made, _, vectors, truth = world(rng, 30)
    matrix = LabelMatrix(NAMES[:1], made.matrix.vectors[:1])
    one = scorer(LabelSet((), mode="multi"), matrix, logit_scale=30.0, bank=made.bank)
    sigmoid = scorer(LabelSet((), mode="multi"), made.matrix, logit_scale=30.0, logit_bias=-10.0)
    assert fit(one, vectors, np.zeros(30, dtype=np.intp)).curve is None
    assert fit(sigmoid, vectors, truth).curve is None
    assert fit(made, vectors, truth).curve is not None


def test_it_can_be_stopped_and_needs_enough_pictures() -> None:
    made, _, vectors, truth = world(np.random.default_rng(2), AT_ONCE + 1)
    calls = []
    fit(made, vectors, truth, check=lambda: calls.append(1))
    assert len(calls) == 2 + 3  # the pictures, and twice as many for the curve

    def stop() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        fit(made, vectors, truth, check=stop)
    for few in (0, 19):
        with pytest.raises(InvalidRequest, match="needs 20"):
            fit(made, vectors[:few], truth[:few])
