"""Honest probabilities: one temperature, fitted on labelled pictures, and how far off probabilities are.

`softmax(logits / temperature)` changes no ranking, only how sure the answer sounds. One temperature a model
carries over to other label sets (arXiv 2303.12748, 2402.07417), so it can be fitted once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidRequest
from models.scoring.ranking import softmax

BINS: Final = 15
"""Equal-width bins of confidence, as in Guo et al. 2017 (arXiv 1706.04599)."""
MIN_IMAGES: Final = 20
"""Labelled pictures: below this, one temperature is still a guess."""
LOWEST: Final = 0.02
HIGHEST: Final = 50.0
"""Bounds of the temperature, which divides logits: beyond them answers are all or nothing, or all equal."""

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Bin:
    """One column of a reliability diagram."""

    lower: float
    upper: float
    count: int
    confidence: float  # mean of the pictures in the bin; the middle of an empty one
    accuracy: float  # share of right ones; 0 in an empty bin


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted temperature and what it changed."""

    temperature: float
    images: int
    ece_before: float
    ece_after: float  # on pictures that the temperature used for them did not see (two halves)
    nll_before: float  # nats a picture
    nll_after: float


def fit(logits: Floats, truth: NDArray[np.intp], *, bins: int = BINS) -> Calibration:
    """The temperature for logits (M, N) whose right labels are truth (M,), and the error without and with it.

    ECE and NLL "after" are cross-fitted over two halves, so that they are no praise of the fit by itself.
    Raises InvalidRequest for fewer than MIN_IMAGES pictures.
    """
    if len(truth) < MIN_IMAGES:
        raise InvalidRequest(f"{len(truth)} readable pictures; a fit needs {MIN_IMAGES}", field="images")
    wide = np.asarray(logits, dtype=np.float64)  # (M, N)
    after = np.empty_like(wide)  # (M, N)
    for half in (0, 1):
        after[half::2] = softmax(wide[half::2] / temperature(wide[1 - half :: 2], truth[1 - half :: 2]))
    before = softmax(wide)  # (M, N)
    return Calibration(
        temperature=temperature(wide, truth),
        images=len(truth),
        ece_before=ece(*outcomes(before, truth), bins=bins),
        ece_after=ece(*outcomes(after, truth), bins=bins),
        nll_before=nll(before, truth),
        nll_after=nll(after, truth),
    )


def temperature(logits: Floats, truth: NDArray[np.intp]) -> float:
    """The temperature with the lowest negative log-likelihood, between LOWEST and HIGHEST.

    The likelihood is concave in the inverse temperature b, so its one maximum lies where
    d/db = mean(logit of the truth - expected logit) changes sign: found by bisection, on a log scale.
    As in Platt scaling, one picture in M + 1 counts as of no known label: without it, the temperature of a
    small set without a mistake would be 0.
    """
    wide = np.asarray(logits, dtype=np.float64)  # (M, N)
    doubt = 1 / (len(truth) + 1)
    wanted = (1 - doubt) * wide[np.arange(len(truth)), truth] + doubt * wide.mean(axis=-1)  # (M,)

    def rises(b: float) -> bool:
        expected = (softmax(wide * b) * wide).sum(axis=-1)  # (M,)
        return bool((wanted - expected).mean() > 0)

    low, high = np.log(1 / HIGHEST), np.log(1 / LOWEST)
    for _ in range(50):  # halves log(2500) to 7e-15
        middle = (low + high) / 2
        low, high = (middle, high) if rises(np.exp(middle)) else (low, middle)
    return float(np.exp(-(low + high) / 2))


def outcomes(probabilities: Floats, truth: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities (M, N) -> each picture's highest one (M,), and whether it is the right label's (M,)."""
    confidence = np.asarray(probabilities, dtype=np.float64).max(axis=-1)
    return confidence, np.asarray(probabilities.argmax(axis=-1) == truth)


def reliability(confidence: Floats, correct: NDArray[np.bool_], *, bins: int = BINS) -> tuple[Bin, ...]:
    """The data of a reliability diagram: confidence (M,) in equal-width bins; each holds its upper edge."""
    place = np.clip(np.ceil(np.asarray(confidence) * bins).astype(int) - 1, 0, bins - 1)  # (M,)
    count = np.bincount(place, minlength=bins)
    surest = np.bincount(place, weights=confidence, minlength=bins)
    right = np.bincount(place, weights=correct, minlength=bins)
    return tuple(
        Bin(
            lower=i / bins,
            upper=(i + 1) / bins,
            count=int(count[i]),
            confidence=float(surest[i] / count[i]) if count[i] else (i + 0.5) / bins,
            accuracy=float(right[i] / count[i]) if count[i] else 0.0,
        )
        for i in range(bins)
    )


def ece(confidence: Floats, correct: NDArray[np.bool_], *, bins: int = BINS) -> float:
    """Expected calibration error: |accuracy - confidence| averaged over the pictures' bins, 0 … 1."""
    columns = reliability(confidence, correct, bins=bins)
    return sum(b.count * abs(b.accuracy - b.confidence) for b in columns) / max(len(confidence), 1)


def nll(probabilities: Floats, truth: NDArray[np.intp]) -> float:
    """Mean negative log-likelihood of the right labels, nats."""
    right = np.asarray(probabilities, dtype=np.float64)[np.arange(len(truth)), truth]  # (M,)
    return float(-np.log(np.maximum(right, np.finfo(np.float64).tiny)).mean())
