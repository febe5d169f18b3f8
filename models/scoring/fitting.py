"""Temperature and curve together, from pictures with one right label each: what `candid calibrate` finds.

The curve of mode "multi" must be honest where several things are seen, and few have such pictures labelled.
The mean of two pictures' vectors stands for a picture of both, for towers average what they see. The curve is
fitted on each picture alone and on each with another; bench/answers.py measures it on pairs side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.scoring import calibration, multi_label, scorer
from models.scoring.calibration import Calibration
from models.scoring.multi_label import DEFAULT, Curve
from models.scoring.scorer import Scorer

OTHERS: Final = 4
"""Labels that are not there, asked for beside each that is: as `multi_label.PRIOR` has it."""
AT_ONCE: Final = 256
"""Pictures between two calls of `check`: with 10,000 labels some 100 ms."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CurveFit:
    """A fitted curve, and how far off the probabilities of labels are (ECE, 0 … 1) by DEFAULT and with it."""

    curve: Curve
    ece_before: float
    ece_after: float  # on pictures that the curve used for them did not see (two halves)


@dataclass(frozen=True, slots=True)
class Fits:
    """What labelled pictures say of a model, or of a label set."""

    temperature: Calibration
    curve: CurveFit | None  # None where the model needs none, or there is one label only


def fit(
    made: Scorer,  # with the bank, unless the model needs none for mode "multi"
    vectors: Vectors,  # (M, D)
    truth: NDArray[np.intp],  # (M,), the right labels' columns
    *,
    check: Callable[[], None] = lambda: None,  # may raise, to stop
) -> Fits:
    """Raises InvalidRequest for fewer than `calibration.MIN_IMAGES` pictures."""
    logits = [np.empty((0, len(made.matrix.labels)))]
    for rows in _parts(len(vectors), check):
        logits.append(scorer.logits(made, vectors[rows]))
    temperature = calibration.fit(np.concatenate(logits), truth)
    several = made.bank is not None and len(made.matrix.labels) > 1
    return Fits(temperature, _curve(made, vectors, truth, check) if several else None)


def _curve(made: Scorer, vectors: Vectors, truth: NDArray[np.intp], check: Callable[[], None]) -> CurveFit:
    rng, alone = np.random.default_rng(0), np.arange(len(truth))
    other = alone.copy()
    for half in (0, 1):  # no picture's partner is in the other half
        other[half::2] = rng.permutation(alone[half::2])
    first, second = np.concatenate([alone, alone]), np.concatenate([alone, other])  # (2M,)
    asked = rng.integers(len(made.matrix.labels), size=(len(first), 1 + OTHERS))
    asked[:, 0] = truth[first]
    counts = (asked != truth[first, None]) & (asked != truth[second, None])  # those that are not there
    counts[:, 0] = True
    z = np.empty(asked.shape)
    for rows in _parts(len(first), check):
        both = vectors[first[rows]] + vectors[second[rows]]
        both /= np.maximum(np.linalg.norm(both, axis=1, keepdims=True), 1e-6)
        z[rows] = np.take_along_axis(scorer.above_nouns(made, both), asked[rows], axis=1)
    there = np.zeros(asked.shape, dtype=bool)
    there[:, 0] = True
    after = np.empty_like(z)
    for half in (0, 1):
        ours = (first % 2 == half)[:, None] & counts
        theirs = counts & ~ours
        after[ours] = multi_label.fit(z[theirs], there[theirs])(z[ours])
    return CurveFit(
        multi_label.fit(z[counts], there[counts]),
        ece_before=calibration.ece(DEFAULT(z[counts]), there[counts]),
        ece_after=calibration.ece(after[counts], there[counts]),
    )


def _parts(count: int, check: Callable[[], None]) -> Iterator[slice]:
    for start in range(0, count, AT_ONCE):
        check()
        yield slice(start, start + AT_ONCE)
