"""models/scoring/few_shot.py: what is chosen on the examples, and what it leads to."""

from __future__ import annotations

import numpy as np
import pytest

from models.scoring.calibration import temperature
from models.scoring.few_shot import LEAN, added, teach


def unit(rng, *shape: int):
    rows = rng.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def normed(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def around(rng, centres, labels, noise: float):
    """Pictures of labels: unit rows near their centres."""
    return normed(centres[labels] + noise * unit(rng, len(labels), centres.shape[1]))


def right(taught, matrix, vectors, truth, *, scale: float = 100) -> float:
    logits = scale * vectors @ matrix.T + (0 if taught is None else added(taught, vectors))
    return float((logits.argmax(axis=1) == truth).mean())


def test_examples_help_where_words_are_vague() -> None:
    rng = np.random.default_rng(0)
    centres, labels, truth = unit(rng, 12, 32), np.arange(48) % 12, np.arange(600) % 12
    words = normed(0.4 * centres + unit(rng, 12, 32))
    pictures = around(rng, centres, truth, 1.5)
    taught = teach(around(rng, centres, labels, 1.5), labels, words, logit_scale=100)
    assert taught.chosen
    assert right(taught, words, pictures, truth) > right(None, words, pictures, truth) + 0.05


def test_one_vector_is_answered_as_many_are() -> None:
    rng = np.random.default_rng(1)
    taught = teach(unit(rng, 12, 16), np.arange(12) % 4, unit(rng, 4, 16), logit_scale=50)
    vectors = unit(rng, 3, 16)
    for vector, row in zip(vectors, added(taught, vectors), strict=True):
        assert added(taught, vector) == pytest.approx(row, rel=1e-4, abs=1e-5)


def test_examples_that_are_alone_are_trusted_when_words_fail() -> None:
    rng = np.random.default_rng(2)
    keys, labels = unit(rng, 3, 32), np.arange(3)
    words = normed(np.roll(keys, 1, axis=0) * 0.1 + unit(rng, 3, 32))
    taught = teach(keys, labels, words, logit_scale=40)
    assert not taught.chosen and taught.temperature == 1.0
    assert right(taught, words, keys, labels, scale=40) == 1.0


def test_examples_that_are_alone_weigh_the_same_at_any_scale_of_logits() -> None:
    rng = np.random.default_rng(3)
    centres, labels = unit(rng, 6, 16), np.arange(6)
    keys, words = around(rng, centres, labels, 1.0), normed(centres + unit(rng, 6, 16))
    strong, weak = (teach(keys, labels, words, logit_scale=scale) for scale in (100, 200))
    assert not strong.chosen and not weak.chosen
    np.testing.assert_allclose(weak.weights, 2 * strong.weights, rtol=1e-4)


def test_leave_one_out_does_not_believe_in_examples_that_say_nothing() -> None:
    """Labels of the examples are drawn by lot: only the words know anything."""
    rng = np.random.default_rng(4)
    words, truth = unit(rng, 5, 64), np.arange(500) % 5
    keys, labels = unit(rng, 60, 64), rng.integers(0, 5, 60)
    keys = normed(keys + 0.6 * words[labels])
    pictures = normed(0.6 * words[truth] + unit(rng, 500, 64))
    taught = teach(keys, labels, words, logit_scale=30)
    assert (
        right(taught, words, pictures, truth, scale=30)
        >= right(None, words, pictures, truth, scale=30) - 0.02
    )


def test_a_word_that_is_near_to_every_picture_no_longer_takes_them() -> None:
    rng = np.random.default_rng(5)
    common, centres = unit(rng, 32), unit(rng, 8, 32)
    truth, labels = np.arange(400) % 8, np.arange(32) % 8
    words = normed(centres + 2 * np.outer(np.arange(8) == 0, common))
    centres = normed(centres + 2 * common)
    pictures, keys = around(rng, centres, truth, 1.0), around(rng, centres, labels, 1.0)
    taught = teach(keys, labels, words, logit_scale=10)
    before = (10 * pictures @ words.T).argmax(axis=1) == 0
    after = (10 * pictures @ words.T + added(taught, pictures)).argmax(axis=1) == 0
    assert before.mean() > 0.4 and after.mean() == pytest.approx(1 / 8, abs=0.1)
    assert LEAN < 1


@pytest.mark.parametrize("scale", [12.0, 40.0])
def test_probabilities_are_as_sure_as_those_of_the_words_alone(scale: float) -> None:
    rng = np.random.default_rng(6)
    centres, labels, truth = unit(rng, 10, 32), np.arange(80) % 10, np.arange(1000) % 10
    words = normed(centres + unit(rng, 10, 32))
    keys, pictures = around(rng, centres, labels, 2.5), around(rng, centres, truth, 2.5)
    taught = teach(keys, labels, words, logit_scale=scale)
    alone = scale * pictures @ words.T
    both = (alone + added(taught, pictures)) / taught.temperature
    assert taught.temperature > 1.2
    assert temperature(both, truth) == pytest.approx(temperature(alone, truth), rel=0.3)


def test_labels_without_examples_keep_their_pictures() -> None:
    rng = np.random.default_rng(7)
    centres, truth = unit(rng, 10, 64), np.arange(500) % 10
    words, labels = normed(centres + 0.7 * unit(rng, 10, 64)), np.arange(40) % 5  # half of them
    keys, pictures = around(rng, centres, labels, 1.0), around(rng, centres, truth, 1.0)
    taught = teach(keys, labels, words, logit_scale=40)
    untaught = truth >= 5
    before = right(None, words, pictures[untaught], truth[untaught], scale=40)
    assert right(taught, words, pictures[untaught], truth[untaught], scale=40) > before - 0.1


@pytest.mark.parametrize(
    ("labels", "n"), [([0], 1), ([0], 5), ([0, 0, 0], 2), ([1] * 9, 3), (list(range(9)), 9)]
)
def test_few_or_lonely_or_equal_examples_lead_to_finite_numbers(labels: list[int], n: int) -> None:
    rng = np.random.default_rng(8)
    words, key = unit(rng, n, 8), unit(rng, 1, 8)
    for keys in (unit(rng, len(labels), 8), np.repeat(key, len(labels), axis=0)):
        taught = teach(keys, np.array(labels), words, logit_scale=100)
        assert np.isfinite(taught.weights).all() and np.isfinite(taught.offsets).all()
        assert 1 <= taught.temperature < 1e3
