"""Many of many: an independent probability for each label, so that none, one or several may hold.

SigLIP models were trained with a sigmoid for each pair of picture and text: that is the probability, and
small values are normal. CLIP models were trained with a softmax, so a cosine alone says little: pictures
differ in how similar they are to any text at all. A prompt for the absence ("no dog") does not help, because
captions name what is there and CLIP does not read the "no" (arXiv 2409.08381). So absence is how a picture
looks to words that have nothing to do with it: the similarity is normalised by the picture's own similarities
to the bank of unrelated nouns (the T-norm of speaker verification, Auckenthaler et al. 2000: mean and
deviation over a cohort of impostors), and a fitted logistic curve makes it a probability (Platt 1999).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models import embedded_constants
from models.errors import InvalidRequest

THRESHOLD: Final = 0.5
"""Probability from which a label holds, unless the caller or the label set says otherwise."""

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Curve:
    """probability = sigmoid(slope * z + offset); z: deviations of the bank above the bank's mean."""

    slope: float
    offset: float

    def __call__(self, z: Floats) -> NDArray[np.float64]:
        return _logistic(self.slope * np.asarray(z, dtype=np.float64) + self.offset)


PRIOR: Final = 0.2
"""Share of the labels that hold, at which a curve is honest. Nobody knows it for labels yet unseen; where
fewer hold, probabilities are too high, and a higher threshold is due."""
DEFAULT: Final = Curve(embedded_constants.SLOPE, embedded_constants.OFFSET)
"""Where no curve was fitted: of the embedded model on pairs of Caltech-101's pictures (bench/answers.py). It
doubts more than a stronger model need."""


def sigmoid(similarities: Floats, *, logit_scale: float, logit_bias: float) -> NDArray[np.float64]:
    """SigLIP's own probabilities, of any shape."""
    return _logistic(logit_scale * np.asarray(similarities, dtype=np.float64) + logit_bias)


def against_absence(
    similarities: Floats,  # (…, N): of pictures to the labels
    bank: Floats,  # (…, K): of the same pictures to unrelated nouns
    curve: Curve = DEFAULT,
) -> NDArray[np.float64]:
    """Calibrated probabilities (…, N) for a model that was trained with a softmax."""
    return curve(normalised(similarities, bank))


def normalised(similarities: Floats, bank: Floats) -> NDArray[np.float64]:
    """How far each similarity (…, N) is above the mean of the picture's bank (…, K), in its deviations."""
    wide = np.asarray(bank, dtype=np.float64)
    deviation = np.maximum(wide.std(axis=-1, keepdims=True), 1e-6)
    return np.asarray((similarities - wide.mean(axis=-1, keepdims=True)) / deviation)


def fit(z: Floats, present: NDArray[np.bool_], *, prior: float = PRIOR) -> Curve:
    """The curve for normalised similarities (M,) of labels that are there or not (M,): Platt's method.

    Logistic regression by Newton's steps, weighted as if the share `prior` of the labels were there. The
    targets are pulled towards each other by the weight of one picture of each kind, as Platt does it, so that
    separable data have a finite answer. Raises InvalidRequest where all labels hold, or none does.
    """
    there = int(present.sum())
    if there == 0 or there == len(present):
        raise InvalidRequest("a fit needs labels that hold and labels that do not", field="examples")
    target = np.where(present, (there + 1) / (there + 2), 1 / (len(present) - there + 2))  # (M,)
    weight = np.where(present, prior / there, (1 - prior) / (len(present) - there))  # (M,), sums to 1
    inputs = np.stack([np.asarray(z, dtype=np.float64), np.ones(len(z))], axis=1)  # (M, 2)
    curve = np.array([0.0, np.log(prior / (1 - prior))])
    for _ in range(100):
        p = _logistic(inputs @ curve)  # (M,)
        gradient = inputs.T @ (weight * (p - target))  # (2,)
        hessian = (inputs * (weight * p * (1 - p))[:, None]).T @ inputs + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        curve -= step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))  # damped: no leap out of range
        if np.abs(step).max() < 1e-10:
            break
    return Curve(float(curve[0]), float(curve[1]))


def _logistic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -700, 700))))
