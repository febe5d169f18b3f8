"""models/scoring/few_shot.py against the paper's formula written as plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.scoring.few_shot import ALPHA, BETA, SHARPNESS, WEIGHT, Constants, choose, logits


def unit(rng, *shape: int):
    rows = rng.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def plain(query, keys, labels, n: int, alpha: float, beta: float) -> list[float]:
    total = [0.0] * n
    for key, label in zip(keys, labels, strict=True):
        total[label] += alpha * math.exp(-beta * (1.0 - float(np.dot(query, key))))
    return total


def test_with_equally_many_examples_it_is_the_papers_formula() -> None:
    rng = np.random.default_rng(0)
    keys, labels = unit(rng, 12, 16), np.arange(12) % 4
    queries = unit(rng, 5, 16)
    found = logits(queries, keys, labels, 4, alpha=2.0, beta=3.0)
    for query, row in zip(queries, found, strict=True):
        assert row == pytest.approx(plain(query, keys, labels, 4, 2.0, 3.0), rel=1e-5)
        assert logits(query, keys, labels, 4, alpha=2.0, beta=3.0) == pytest.approx(row)


def test_many_examples_of_one_label_do_not_outvote_a_single_one_of_another() -> None:
    rng = np.random.default_rng(1)
    one, other = unit(rng, 2, 16)
    keys, labels = np.stack([one] + [other] * 9), np.array([0] + [1] * 9)
    middle = (one + other) / np.linalg.norm(one + other)
    added = logits(middle, keys, labels, 3)
    assert added[0] == pytest.approx(added[1], rel=1e-4)
    assert added[2] == 0.0


def test_no_example_adds_nothing() -> None:
    query = unit(np.random.default_rng(2), 8)
    assert logits(query, np.empty((0, 8), np.float32), np.empty(0, np.intp), 3).tolist() == [0.0, 0.0, 0.0]


def test_examples_that_cannot_be_left_out_get_constants_of_the_same_meaning_at_any_scale() -> None:
    rng = np.random.default_rng(3)
    words = unit(rng, 10, 8)
    keys = words + unit(rng, 10, 8)  # the words know them, more or less
    keys = (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float32)
    alone = choose(keys, np.arange(10), words, logit_scale=100)
    weaker = choose(keys, np.arange(10), words, logit_scale=10)
    assert not alone.chosen and alone.alpha == pytest.approx(10 * weaker.alpha)
    distance = np.mean([1 - np.dot(a, b) for i, a in enumerate(keys) for j, b in enumerate(keys) if i != j])
    assert alone.beta == weaker.beta == pytest.approx(SHARPNESS / distance, rel=1e-4)
    added = [
        logits(
            keys[i],
            np.delete(keys, i, 0),
            np.delete(np.arange(10), i),
            10,
            alpha=alone.alpha,
            beta=alone.beta,
        )
        for i in range(10)
    ]
    spread = np.std(100 * keys @ words.T, axis=1).mean()
    assert np.std(added, axis=1).mean() == pytest.approx(WEIGHT * spread, rel=1e-3)


def test_a_single_example_or_equal_ones_have_finite_constants() -> None:
    rng = np.random.default_rng(6)
    words, key = unit(rng, 4, 8), unit(rng, 1, 8)
    assert choose(key, np.array([2]), words, logit_scale=100) == Constants(ALPHA, BETA)
    same = choose(np.repeat(key, 12, axis=0), np.arange(12) % 4, words, logit_scale=100)
    assert np.isfinite([same.alpha, same.beta]).all()


def test_examples_are_trusted_when_words_fail() -> None:
    rng = np.random.default_rng(4)
    centres = unit(rng, 5, 32)
    labels = np.arange(40) % 5
    keys = centres[labels] + 0.5 * unit(rng, 40, 32)
    keys = (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float32)
    failing = choose(keys, labels, unit(rng, 5, 32), logit_scale=100)
    added = logits(keys[0], keys[1:], labels[1:], 5, alpha=failing.alpha, beta=failing.beta)
    assert failing.chosen and added.argmax() == labels[0]


def test_a_picture_that_is_an_example_has_its_label_where_words_say_nothing() -> None:
    """Too few for leave-one-out, and the names of the labels mean nothing to the model."""
    rng = np.random.default_rng(7)
    keys, labels = unit(rng, 3, 32), np.arange(3)
    words = np.roll(keys, 1, axis=0) * 0.1 + unit(rng, 3, 32)
    words = (words / np.linalg.norm(words, axis=1, keepdims=True)).astype(np.float32)
    found = choose(keys, labels, words, logit_scale=40)
    added = logits(keys, keys, labels, 3, alpha=found.alpha, beta=found.beta)
    assert not found.chosen
    assert ((40 * keys @ words.T + added).argmax(axis=1) == labels).all()


def test_leave_one_out_never_uses_the_left_out_example() -> None:
    """Each example lies alone: were it its own neighbour, the cache would look perfect."""
    rng = np.random.default_rng(5)
    labels = np.arange(40) % 4
    words = unit(rng, 4, 64)
    keys = words[labels] * 0.3 + unit(rng, 40, 64)
    keys = (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float32)
    found = choose(keys, labels, words, logit_scale=100)
    rest = [np.delete(np.arange(40), i) for i in range(40)]

    def right(alpha: float, beta: float) -> int:
        return sum(
            int(
                np.argmax(
                    100 * words @ keys[i] + logits(keys[i], keys[r], labels[r], 4, alpha=alpha, beta=beta)
                )
            )
            == labels[i]
            for i, r in enumerate(rest)
        )

    assert right(found.alpha, found.beta) >= max(right(0.0, 1.0), right(ALPHA, BETA))
    assert right(found.alpha, found.beta) < 40
