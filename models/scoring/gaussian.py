"""Gaussian discriminant analysis: a linear classifier of embeddings from a few examples of each label.

Every label is a Gaussian with a mean of its own and a covariance that all share (Wang et al., "A
Hard-to-Beat Baseline for Training-free CLIP-based Adaptation", ICLR 2024, arXiv 2402.04087). Picture x has

    (x - c) . Σ^-1 (μ_l - c)  -  (μ_l - c) . Σ^-1 (μ_l - c) / 2

as its log-density under label l beside that under the centre c of the examples. Σ is what examples differ
from their label's mean by, shrunk towards a sphere as there: the fewer examples, the more. Unlike there, a
mean is drawn towards where the label's words say it is, so that one example is no whole truth and a label
without any has a place among the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

PRIOR: Final = 2.0
"""Examples that the words' guess of a mean counts for: 1 to 4 serve equally well (bench/answers.py)."""
SLOPE: Final = 0.1
"""Distances of means of pictures in distances of the labels' words, where only one label has examples."""
LEAST_VARIANCE: Final = 1e-3
"""Of all dimensions together, where examples of a label are (nearly) equal."""

Vectors = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gaussians:
    """The labels' means and the inverse of what they share."""

    centre: Doubles  # (D,): the mean of the means
    own: Doubles  # (N, D): means of the labels' examples, from the centre; zero without any
    guess: Doubles  # (N, D): where the words say that the means are, from the centre
    inverse: Doubles  # (D, D)
    count: NDArray[np.intp]  # (N,), examples of each label
    share: float  # of one squared deviation in the covariance

    @property
    def means(self) -> Doubles:
        """(N, D), from the centre: the examples' drawn towards the guess."""
        count = self.count[:, None]
        return np.asarray((count * self.own + PRIOR * self.guess) / (count + PRIOR))

    @property
    def weights(self) -> Doubles:
        """(N, D): a picture times them, plus `offsets`, is its log-density under each label."""
        return self.means @ self.inverse

    @property
    def offsets(self) -> Doubles:
        """(N,)"""
        weights = self.weights
        return np.asarray(-weights @ self.centre - np.vecdot(weights, self.means) / 2)


def fit(keys: Vectors, labels: NDArray[np.intp], matrix: Vectors) -> Gaussians:
    """From examples (M, D), M > 0, of the labels (M,); matrix (N, D): the words. All are unit rows."""
    (n, dim), wide = matrix.shape, keys.astype(np.float64)
    count = np.bincount(labels, minlength=n)  # (N,)
    sums = np.zeros((n, dim))
    np.add.at(sums, labels, wide)
    having = count > 0
    own = sums / np.maximum(count, 1)[:, None]
    centre = own[having].mean(axis=0)
    own[having] -= centre
    words = matrix - matrix[having].mean(axis=0, dtype=np.float64)
    guess = _slope(own[having], words[having]) * words  # (N, D)
    free = len(keys) - int(having.sum())  # degrees of freedom
    apart = wide - centre - own[labels]  # (M, D)
    scatter = apart.T @ apart  # (D, D)
    spread = max(float(np.trace(scatter)), LEAST_VARIANCE * free) / free if free else 1.0
    shrunk = (scatter + spread * np.eye(dim)) / (free + dim)
    return Gaussians(centre, own, guess, np.linalg.inv(shrunk), count, 1 / (free + dim))


def left_out(
    given: Gaussians,
    keys: Vectors,  # (M, D): some of the examples it was fitted to
    labels: NDArray[np.intp],  # (M,)
) -> Doubles:
    """Log-densities (M, N) of examples as if each in turn had not been among those that it was fitted to.

    In closed form: leaving one out moves its label's mean and takes one square from the covariance, which the
    formula of Sherman and Morrison does to the inverse. Centre, guesses and shrinkage stay as they are.
    """
    place, count = np.arange(len(keys)), given.count[labels][:, None].astype(np.float64)  # (M, 1)
    x = keys - given.centre  # (M, D)
    rest = (count * given.own[labels] - x + PRIOR * given.guess[labels]) / (count - 1 + PRIOR)  # its mean
    apart = x - given.own[labels]  # (M, D), zero where an example is alone
    means, weights = given.means, given.weights  # (N, D)
    turned = apart @ given.inverse  # (M, D)
    factor = given.share * count / np.maximum(count - 1, 1)  # (M, 1)
    factor = factor / (1 - factor * np.vecdot(apart, turned)[:, None])
    along = apart @ weights.T  # (M, N)
    on_x = np.vecdot(x, turned)[:, None]  # (M, 1)
    found = x @ weights.T + factor * on_x * along  # (M, N)
    found -= (np.vecdot(weights, means) + factor * along**2) / 2
    own = rest @ given.inverse
    across = np.vecdot(own, apart)[:, None]  # (M, 1)
    lone = np.vecdot(own, x)[:, None] + factor * on_x * across
    lone -= (np.vecdot(own, rest)[:, None] + factor * across**2) / 2
    found[place, labels] = lone[:, 0]
    return np.asarray(found)


def untaught(given: Gaussians, keys: Vectors, labels: NDArray[np.intp]) -> Doubles:
    """Log-densities (M,) of pictures (M, D) under labels (M,) as if these had no examples: by the guess."""
    guess = given.guess[labels]  # (M, D)
    return np.asarray(np.vecdot(guess @ given.inverse, keys - given.centre - guess / 2))


def _slope(means: Doubles, words: Doubles) -> float:
    """By how much means (N, D) move with words (N, D), both about zero: least squares, and never against."""
    variance = float((words**2).sum())
    return max(float((means * words).sum()) / variance, 0.0) if variance > 1e-12 else SLOPE
