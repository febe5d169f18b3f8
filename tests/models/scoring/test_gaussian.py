"""models/scoring/gaussian.py against the density of Gaussians written out."""

from __future__ import annotations

import numpy as np
import pytest

from models.scoring import gaussian
from models.scoring.gaussian import PRIOR, SLOPE, fit, left_out


def unit(rng, *shape: int):
    rows = rng.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def parts(keys, labels, words):
    """Centre, the words' guesses, and every label's mean and number of examples, in plain loops."""
    taught = sorted(set(labels))
    alone = {i: keys[labels == i].astype(float).mean(axis=0) for i in taught}
    centre = np.mean(list(alone.values()), axis=0)
    away = words.astype(float) - words[taught].astype(float).mean(axis=0)
    slope = sum((alone[i] - centre) @ away[i] for i in taught) / sum(away[i] @ away[i] for i in taught)
    return centre, max(slope, 0.0) * away, alone


def density(x, keys, labels, words, *, without: int | None = None):
    """log N(x | mean of the label, Σ) - log N(x | centre, Σ) for each label, by the inverse of Σ itself."""
    centre, guess, alone = parts(keys, labels, words)
    free, dim = len(keys) - len(alone), keys.shape[1]
    rest = [i for i in range(len(keys)) if i != without]
    total = sum(np.outer(k - alone[i], k - alone[i]) for k, i in zip(keys, labels, strict=True))
    spread = np.trace(total) / free
    means = guess.copy()
    for i, mean in alone.items():
        own = [j for j in rest if labels[j] == i]
        means[i] = ((keys[own] - centre).sum(axis=0) + PRIOR * guess[i]) / (len(own) + PRIOR)
        mean = keys[own].mean(axis=0) if own else mean
    scatter = sum(
        np.outer(keys[j] - m, keys[j] - m)
        for j in rest
        for m in [keys[[k for k in rest if labels[k] == labels[j]]].astype(float).mean(axis=0)]
    )
    inverse = np.linalg.inv((scatter + spread * np.eye(dim)) / (free + dim))

    def squared(away):
        return away @ inverse @ away

    x = x - centre
    return [(squared(x) - squared(x - mean)) / 2 for mean in means]


def test_it_is_the_log_density_beside_the_centres() -> None:
    rng = np.random.default_rng(0)
    keys, labels, words = unit(rng, 14, 6), np.array([0] * 5 + [1] * 3 + [3] * 6), unit(rng, 5, 6)
    given = fit(keys, labels, words)
    for x in unit(rng, 3, 6):
        expected = density(x, keys, labels, words)
        assert x @ given.weights.T + given.offsets == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_leaving_one_out_is_as_if_it_had_not_been_there() -> None:
    rng = np.random.default_rng(1)
    keys, labels, words = unit(rng, 11, 6), np.array([0] * 5 + [1] * 2 + [3] * 3 + [2]), unit(rng, 5, 6)
    found = left_out(fit(keys, labels, words), keys, labels)
    for i, row in enumerate(found):
        assert row == pytest.approx(density(keys[i], keys, labels, words, without=i), rel=1e-4, abs=1e-6)


def test_examples_of_one_label_alone_speak_for_it() -> None:
    rng = np.random.default_rng(2)
    words, key = unit(rng, 4, 16), unit(rng, 1, 16)
    given = fit(key, np.array([2]), words)
    found = key[0] @ given.weights.T + given.offsets
    assert found.argmax() == 2
    away = SLOPE * (words[0].astype(float) - words[2])
    assert found[0] == pytest.approx(-16 * away @ away / 2, rel=1e-4)  # a sphere of variance 1 / 16 each


def test_equal_examples_have_finite_densities() -> None:
    rng = np.random.default_rng(3)
    words, key = unit(rng, 3, 8), unit(rng, 1, 8)
    keys, labels = np.repeat(key, 9, axis=0), np.arange(9) % 3
    given = fit(keys, labels, words)
    assert np.isfinite(given.weights).all() and np.isfinite(left_out(given, keys, labels)).all()
    assert gaussian.LEAST_VARIANCE > 0
