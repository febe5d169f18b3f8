"""models/scoring/multi_label.py: SigLIP's sigmoid, the normalised score of CLIP, and the fit of its curve."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.errors import InvalidRequest
from models.scoring.multi_label import PRIOR, Curve, against_absence, fit, normalised, sigmoid


def test_the_sigmoid_is_siglips() -> None:
    found = sigmoid(np.array([[0.1, -0.05]]), logit_scale=110.0, logit_bias=-12.9)
    assert found[0, 0] == pytest.approx(1 / (1 + math.exp(-(11.0 - 12.9))))
    assert found[0, 1] == pytest.approx(1 / (1 + math.exp(-(-5.5 - 12.9))))
    assert np.isfinite(sigmoid(np.array([1.0, -1.0]), logit_scale=1e6, logit_bias=0)).all()


def test_the_score_does_not_change_when_a_picture_is_more_similar_to_every_text() -> None:
    rng = np.random.default_rng(0)
    similarities, bank = rng.uniform(0, 0.3, (4, 6)), rng.uniform(0, 0.2, (4, 50))
    shifted = against_absence(similarities * 1.7 + 0.1, bank * 1.7 + 0.1)
    assert shifted == pytest.approx(against_absence(similarities, bank))


def test_the_score_is_the_logistic_of_the_deviation_from_the_bank() -> None:
    bank = [0.1, 0.2, 0.3]
    mean, deviation = 0.2, math.sqrt(0.02 / 3)
    z = (0.4 - mean) / deviation
    assert normalised(np.array([0.4]), np.array(bank)) == pytest.approx([z])
    found = against_absence(np.array([0.4]), np.array(bank), Curve(1.5, -2.0))
    assert found == pytest.approx([1 / (1 + math.exp(-(1.5 * z - 2.0)))])


def test_labels_do_not_compete() -> None:
    bank = np.linspace(-0.1, 0.1, 100)
    both = against_absence(np.array([0.5, 0.5]), bank)
    assert (both > 0.6).all()
    assert (against_absence(np.array([0.0, 0.0]), bank) < 0.2).all()


def test_a_constant_bank_divides_by_no_zero() -> None:
    assert np.isfinite(against_absence(np.array([0.5]), np.full(10, 0.1))).all()


def test_the_fit_finds_the_curve_that_made_the_labels() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(1, 2, 50_000)
    present = rng.uniform(size=z.size) < 1 / (1 + np.exp(-(1.3 * z - 2.0)))
    found = fit(z, present, prior=float(present.mean()))
    assert found.slope == pytest.approx(1.3, rel=0.05)
    assert found.offset == pytest.approx(-2.0, rel=0.05)


def test_no_nearby_curve_fits_better() -> None:
    rng = np.random.default_rng(2)
    z = rng.normal(size=300)
    present = z + rng.normal(size=300) > 0.5
    there = present.sum()
    target = np.where(present, (there + 1) / (there + 2), 1 / (300 - there + 2))

    weight = np.where(present, PRIOR / there, (1 - PRIOR) / (300 - there))

    def loss(slope: float, offset: float) -> float:
        x = slope * z + offset
        return float(weight @ (np.logaddexp(0, x) - target * x))

    found = fit(z, present)
    best = loss(found.slope, found.offset)
    assert all(
        loss(found.slope + a, found.offset + b) >= best for a in (-0.01, 0, 0.01) for b in (-0.01, 0, 0.01)
    )


def test_separable_data_have_a_finite_curve_and_one_kind_alone_has_none() -> None:
    z = np.array([-2.0, -1.0, 1.0, 2.0] * 10)
    found = fit(z, z > 0)
    assert 0 < found.slope < 20
    with pytest.raises(InvalidRequest):
        fit(z, np.ones(40, dtype=bool))


def test_a_curve_is_honest_at_its_prior_whatever_the_sample() -> None:
    rng = np.random.default_rng(3)
    there, absent = rng.normal(3, 1, 20_000), rng.normal(0, 1, 20_000)
    z, present = np.concatenate([there, absent]), np.arange(40_000) < 20_000
    rare = np.concatenate([there[:400], absent])
    many, few = fit(z, present), fit(rare, np.arange(len(rare)) < 400)
    assert (many.slope, many.offset) == pytest.approx((few.slope, few.offset), rel=0.15)
    assert many.slope == pytest.approx(
        3.0, rel=0.05
    )  # of two normals of deviation 1: the distance of their means
    assert many.offset == pytest.approx(-4.5 + math.log(PRIOR / (1 - PRIOR)), rel=0.05)
