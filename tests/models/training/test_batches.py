from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from models.training import batches
from models.training.learner import Run


def test_a_text_is_true_of_every_picture_that_has_it(start: Callable[[], Run]) -> None:
    run = start()
    chosen = np.arange(12)
    texts, match = batches.batch_texts(run.names, chosen, np.random.default_rng(0))
    assert len(set(texts)) == len(texts)
    for row in range(12):
        for column, text in enumerate(texts):
            true = text in (*run.names.own[row], *run.names.kinds[row])
            assert bool(match[row, column]) is true
    assert match.any(dim=1).all()


def test_rare_sources_are_drawn_more_often(start: Callable[[], Run]) -> None:
    found = batches.weights(start().corpus)
    assert found.sum() == pytest.approx(1)
    assert found[0] / found[6] == pytest.approx(batches.OVERSAMPLED["flickr8k"] / batches.OTHERWISE)


def test_some_names_are_put_into_templates_and_sentences_never() -> None:
    rng = np.random.default_rng(0)
    found = batches.wrapped(["cat"] * 100 + ["a cat sits on a mat"] * 100, rng)
    assert 10 < sum(text != "cat" for text in found[:100]) < 50
    assert all("cat" in text for text in found)
    assert set(found[100:]) == {"a cat sits on a mat"}
