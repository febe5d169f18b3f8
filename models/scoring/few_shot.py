"""Labels by example, without training: what the examples say is added to what the words say.

    logits = logit_scale * f W^T  +  lean  +  weight * log-densities(f)

f: a picture's unit vector (D,); W: the labels' unit rows (N, D). The log-densities are those of Gaussian
discriminant analysis (`scoring.gaussian`). Leans (N,) take back what a label's words have with every picture,
so that over the examples no label is said more often than it is there. The weight is the likeliest when each
example in turn is left out; it is sought relative to how much the words' logits vary, for models differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.scoring import gaussian
from models.scoring.calibration import nll, temperature
from models.scoring.gaussian import Gaussians
from models.scoring.ranking import cosines, softmax

WEIGHT: Final = 0.2
"""Where leave-one-out cannot tell: the examples' logits vary so many times as much as the words' do."""
WEIGHT_ALONE: Final = 4.0
"""In place of WEIGHT where the words fail: they are right about hardly more examples than chance is."""
BY_CHANCE: Final = 2.0
"""Standard errors above chance up to which they fail."""
WEIGHTS: Final = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.5, 4.0, 16.0)
"""What leave-one-out tries. Beforehand a weight is log-normal about WEIGHT, with a deviation of 1."""
LEAST: Final = 0.02
"""Stands for none there."""
MIN_LEFT_OUT: Final = 8
"""Examples that are not alone with their label: fewer say too little to choose by."""
MAX_ROWS: Final = 2000
MAX_LOGITS: Final = 2_000_000
"""Examples that are left out in turn, evenly chosen, and their logits (float64, 16 MB): together they bound
the time and memory of a choice."""
TEMPERATURES: Final = tuple(np.geomspace(0.25, 16, 13).tolist())
"""A likelihood counts at the best of these: what is sought is the order of labels, not how sure it is."""
LEAN: Final = 0.7
"""Standard deviation of a label's lean before any example is seen, nats."""
STEPS: Final = 60
"""Of the search for leans: it goes on until they change by less than TOLERANCE."""
TOLERANCE: Final = 1e-4

Vectors = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Taught:
    """What examples add to the words' logits of one model and one label set."""

    weights: Vectors  # (N, D)
    offsets: Doubles  # (N,)
    temperature: float = 1.0  # divides words and examples together: then they are as sure as words alone
    chosen: bool = False  # by leave-one-out on the examples


def added(taught: Taught, query: Vectors) -> Doubles:
    """What the examples add to the logits of pictures (D,) or (B, D): (N,) or (B, N)."""
    return np.asarray(cosines(query, taught.weights) + taught.offsets)


def teach(
    keys: Vectors,  # (M, D), unit rows: the examples
    labels: NDArray[np.intp],  # (M,), each in 0 … N - 1
    matrix: Vectors,  # (N, D), unit rows: the words
    *,
    logit_scale: float,
) -> Taught:
    """From M > 0 examples; one inversion of a D × D matrix, so worth keeping."""
    given = gaussian.fit(keys, labels, matrix)
    rows = _rows(labels, len(matrix))  # (R,)
    words = logit_scale * np.asarray(keys[rows] @ matrix.T, dtype=np.float64)  # (R, N)
    lean, moved = _leans(words, labels[rows])
    seen = _seen(given, keys[rows], labels[rows], words, lean + moved)
    weight, cooler, chosen = WEIGHT_ALONE if _fail(words, labels[rows]) else WEIGHT, 1.0, False
    if int((given.count[labels[rows]] > 1).sum()) >= MIN_LEFT_OUT:
        weight, cooler, chosen = *_best(seen), True
    weights = weight * seen.unit * given.weights
    offsets = weight * seen.unit * given.offsets + lean
    return Taught(weights.astype(np.float32), offsets, cooler, chosen)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Examples (R,) as pictures that nobody has shown yet: what the weight must be good for."""

    truth: NDArray[np.intp]  # (R,)
    words: Doubles  # (R, N), their logits
    leans: Doubles  # (R, N)
    held: Doubles  # (R, N), log-densities
    unit: float  # with which these vary as much as the words' logits

    def logits(self, weight: float) -> Doubles:
        return self.words + self.leans + weight * self.unit * self.held

    def badness(self, weight: float) -> float:
        """The negative log-likelihood at its best temperature, beside how far the weight is from WEIGHT."""
        logits = self.logits(weight)
        far = np.log(max(weight, LEAST) / WEIGHT) ** 2 / 2
        least = min(nll(softmax(logits / temperature), self.truth) for temperature in TEMPERATURES)
        return float(least + far / len(self.truth))


def _seen(given: Gaussians, keys: Vectors, truth: NDArray[np.intp], words: Doubles, leans: Doubles) -> _Seen:
    """Each example left out; of as large a share of them as of the labels have none, the whole label.

    Otherwise labels with examples would take the pictures of the others, and nobody would notice.
    """
    held = gaussian.left_out(given, keys, truth)
    varies = float(held.std(axis=-1).mean())
    unit = float(words.std(axis=-1).mean()) / varies if varies > 0 else 0.0
    share = float((given.count == 0).mean())
    gone = np.diff(np.floor(share * np.arange(len(truth) + 1))) > 0  # (R,), evenly chosen
    leans = leans.copy()
    leans[gone, truth[gone]] = 0.0
    held[gone, truth[gone]] = gaussian.untaught(given, keys[gone], truth[gone])
    able = gone | (given.count[truth] > 1)  # those that are alone could not but be missed
    return _Seen(truth[able], words[able], leans[able], held[able], unit)


def _best(seen: _Seen) -> tuple[float, float]:
    """The weight, and the temperature with which examples and words are as sure as words alone."""
    weight = min(WEIGHTS, key=seen.badness)
    both, alone = (temperature(logits, seen.truth) for logits in (seen.logits(weight), seen.words))
    return weight, max(1.0, both / alone)


def _rows(labels: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Examples to choose by: all, or evenly chosen ones of as many labels as possible."""
    most = max(MIN_LEFT_OUT, min(MAX_ROWS, MAX_LOGITS // n))
    return np.argsort(labels, kind="stable")[:: -(-len(labels) // most)]


def _fail(words: Doubles, truth: NDArray[np.intp]) -> bool:
    """Whether the words are hardly better than chance."""
    chance = 1 / words.shape[-1]
    error = (chance * (1 - chance) / len(words)) ** 0.5
    right = float((words.argmax(axis=-1) == truth).mean())
    return right < min(1.0, float(chance + BY_CHANCE * error))


def _leans(words: Doubles, truth: NDArray[np.intp]) -> tuple[Doubles, Doubles]:
    """Each label's lean (N,), and what it changes by (R, N) when an example in turn is left out.

    words: logits (R, N) of examples of the labels truth (R,). The likeliest leans, beside the normal
    distribution that LEAN describes; labels count equally however many examples they have, and those without
    any have none. By Newton's method, each label by itself; leaving out is one more such step.
    """
    lean, moved = np.zeros(words.shape[-1]), np.zeros_like(words)
    present, place, count = np.unique(truth, return_inverse=True, return_counts=True)
    if len(present) < 2:
        return lean, moved
    weight = (count.mean() / count)[place][:, None]  # (R, 1)
    own = words[:, present]  # (R, P)
    there = np.equal(place[:, None], np.arange(len(present)))  # (R, P)
    found, step = np.zeros(len(present)), np.full(len(present), np.inf)
    for _ in range(STEPS):
        p = softmax(own + found)
        curve = weight * p * (1 - p)
        bend = curve.sum(axis=0) + LEAN**-2
        step = ((weight * (there - p)).sum(axis=0) - LEAN**-2 * found) / bend
        found = found + 0.7 * step  # damped: labels move at once
        if np.abs(step).max() < TOLERANCE:
            break
    lean[present] = found
    moved[:, present] = -weight * (there - p) / (bend - curve)
    return lean, moved
