"""Labels by example as Candid had it before Gaussians: Tip-Adapter (arXiv 2111.03930), to compare with.

    logits = logit_scale * f W^T  +  alpha * exp(-beta * (1 - f F^T)) L

f: a picture's unit vector (D,); W: the labels' unit rows (N, D); F: the examples' unit rows (M, D); L: which
label each example is of (M, N). One change to the paper, which always has equally many examples a label: an
example of a label with more of them weighs less, so that a label does not win by its number of examples.
And alpha and beta, whose best values differ by orders of magnitude between models, are sought relative to how
much the words' logits vary and to how far apart the examples are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.scoring.calibration import nll
from models.scoring.ranking import cosines, softmax

ALPHA: Final = 1.0
BETA: Final = 5.5
"""Tip-Adapter's own constants (its configs/imagenet.yaml), for logits of CLIP's scale, 100."""
WEIGHT: Final = 0.25
SHARPNESS: Final = 2.0
"""Without a unit; where leave-one-out cannot tell. Alpha and beta follow from them: see `_HeldOut`."""
WEIGHT_ALONE: Final = 4.0
"""In place of WEIGHT where the words fail: they are right about fewer than twice as many examples as chance
is. On Caltech-101 with the names shuffled, one example each: 10 % right answers, with WEIGHT 2 %."""
WEIGHTS: Final = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
SHARPNESSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""What leave-one-out tries: a range around the flat optimum that bench/answers.py found."""
MIN_PER_LABEL: Final = 2
"""Examples: one of them must be left when the other is left out."""
MIN_LEFT_OUT: Final = 8
"""Examples that can be left out: fewer say too little to choose by."""
MAX_ROWS: Final = 1000
MAX_LOGITS: Final = 2_000_000
"""Examples that are left out in turn, evenly chosen, and their logits (float64, 16 MB): together they bound
the time and memory of a choice."""
TEMPERATURES: Final = tuple(np.geomspace(0.25, 16, 13).tolist())
"""A likelihood counts at the best of these: what is sought is the order of labels, not how sure it is."""
CLOSE: Final = 0.5
"""Standard errors of the best accuracy within which the likelihood decides: so near is as good."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Constants:
    """Tip-Adapter's two constants."""

    alpha: float = ALPHA
    beta: float = BETA
    chosen: bool = False  # by leave-one-out on the examples


def logits(
    query: Vectors,  # (D,) or (B, D), unit rows
    keys: Vectors,  # (M, D), unit rows: the examples
    labels: NDArray[np.intp],  # (M,), each in 0 … n_classes - 1
    n_classes: int,
    *,
    alpha: float = ALPHA,
    beta: float = BETA,
) -> NDArray[np.float64]:
    """What the examples add to the logits of the words: (N,) or (B, N)."""
    affinity = np.exp(-beta * (1.0 - np.asarray(cosines(query, keys), dtype=np.float64)))  # (…, M)
    count = np.bincount(labels, minlength=n_classes)  # (N,)
    return np.asarray(alpha * _by_label(affinity, labels, n_classes) * _weights(count))


def choose(
    keys: Vectors,  # (M, D), unit rows
    labels: NDArray[np.intp],  # (M,)
    matrix: Vectors,  # (N, D), unit rows: the words
    *,
    logit_scale: float,
) -> Constants:
    """The two constants that serve best when each example in turn is left out and classified by the others.

    Best is the likeliest of those that are about as often right as any. Examples that are alone with their
    label cannot be left out; with fewer than MIN_LEFT_OUT others, WEIGHT (or WEIGHT_ALONE) and SHARPNESS
    stand in.
    """
    if len(keys) < 2:
        return Constants()
    count = np.bincount(labels, minlength=len(matrix))  # (N,)
    able = np.flatnonzero(count[labels] >= MIN_PER_LABEL)
    enough = len(able) >= MIN_LEFT_OUT
    rows = able if enough else np.arange(len(keys))
    most = max(MIN_LEFT_OUT, min(MAX_ROWS, MAX_LOGITS // len(matrix)))
    rows = rows[:: -(-len(rows) // most)]  # (R,): every k-th
    held = _HeldOut.of(keys, labels, matrix, rows, logit_scale)
    if not enough:
        known = float((held.words.argmax(axis=-1) == held.truth).mean())
        weight = WEIGHT if known >= min(1.0, 2 / len(matrix)) else WEIGHT_ALONE
        return Constants(*held.constants(weight, SHARPNESS))
    wrong = {pair: held.wrong(*pair) for pair in product(WEIGHTS, SHARPNESSES)}
    least = min(wrong.values())
    error = (max(least * (1 - least), 1 / len(rows)) / len(rows)) ** 0.5  # never 0: a hit more may be chance
    likely = [pair for pair, share in wrong.items() if share <= least + CLOSE * error]
    return Constants(*held.constants(*min(likely, key=lambda pair: held.surprise(*pair))), chosen=True)


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """Examples (R,), each seen with itself left out of the cache."""

    truth: NDArray[np.intp]  # (R,)
    words: NDArray[np.float64]  # (R, N) logits of the words
    distance: NDArray[np.float64]  # (R, M) in units of the mean distance, infinite to itself
    unit: float  # that mean distance: 1 - cosine
    labels: NDArray[np.intp]  # (M,)
    weights: NDArray[np.float64]  # (R, N)

    @classmethod
    def of(
        cls, keys: Vectors, labels: NDArray[np.intp], matrix: Vectors, rows: NDArray[np.intp], scale: float
    ) -> _HeldOut:
        place = np.arange(len(rows))
        distance = 1.0 - np.asarray(keys[rows] @ keys.T, dtype=np.float64)  # (R, M)
        distance[place, rows] = 0.0
        unit = max(float(distance.sum() / (len(rows) * (len(keys) - 1))), 1e-3)
        distance[place, rows] = np.inf  # exp(-inf) = 0: left out
        left = np.repeat(np.bincount(labels, minlength=len(matrix))[None], len(rows), axis=0)  # (R, N)
        left[place, labels[rows]] -= 1
        words = scale * np.asarray(keys[rows] @ matrix.T, dtype=np.float64)  # (R, N)
        return cls(labels[rows], words, distance / unit, unit, labels, _weights(left))

    def cache(self, sharpness: float) -> NDArray[np.float64]:
        """The cache's logits (R, N) at alpha = 1."""
        affinity = np.exp(-sharpness * self.distance)  # (R, M)
        return np.asarray(_by_label(affinity, self.labels, self.words.shape[-1]) * self.weights)

    def alpha(self, weight: float, cache: NDArray[np.float64]) -> float:
        """The alpha with which the cache's logits vary `weight` times as much as the words' do."""
        spread = float(cache.std(axis=-1).mean())
        return weight * float(self.words.std(axis=-1).mean()) / spread if spread else 0.0

    def constants(self, weight: float, sharpness: float) -> tuple[float, float]:
        return self.alpha(weight, self.cache(sharpness)), sharpness / self.unit

    def logits(self, weight: float, sharpness: float) -> NDArray[np.float64]:
        cache = self.cache(sharpness)
        return self.words + self.alpha(weight, cache) * cache  # (R, N)

    def wrong(self, weight: float, sharpness: float) -> float:
        """The share of wrong answers."""
        return float((self.logits(weight, sharpness).argmax(axis=-1) != self.truth).mean())

    def surprise(self, weight: float, sharpness: float) -> float:
        """The negative log-likelihood at its best temperature."""
        scores = self.logits(weight, sharpness)
        return min(nll(softmax(scores / temperature), self.truth) for temperature in TEMPERATURES)


def _weights(count: NDArray[np.intp]) -> NDArray[np.float64]:
    """Weight of one example of each label, (…, N): 1 where all that have any have equally many."""
    having = np.maximum((count > 0).sum(axis=-1, keepdims=True), 1)
    mean = count.sum(axis=-1, keepdims=True) / having
    weights: NDArray[np.float64] = np.where(count > 0, mean / np.maximum(count, 1), 0.0)
    return weights


def _by_label(affinity: NDArray[np.float64], labels: NDArray[np.intp], n_classes: int) -> NDArray[np.float64]:
    """Sums over the examples of each label, (…, M) -> (…, N): A L without the zeros of L."""
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    sums = np.zeros((*affinity.shape[:-1], n_classes))
    sums[..., present] = np.add.reduceat(affinity[..., order], starts, axis=-1)
    return sums
