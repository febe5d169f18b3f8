from __future__ import annotations

import numpy as np
import pytest

from models.training.corpus import dataset, sampling
from models.training.corpus.name_banks import Words


def test_a_text_is_true_of_every_picture_that_has_it() -> None:
    words = Words([("red",), ("red", "square"), ("blue",)], [("colour",), (), ("colour",)], [], {})
    chosen = np.array([0, 1, 2, 0])
    texts, match = sampling.own_texts(words, chosen, np.random.default_rng(0))
    assert len(set(texts)) == len(texts)
    for row, i in enumerate(chosen):
        for column, text in enumerate(texts):
            assert bool(match[row, column]) is (text in (*words.own[i], *words.kinds[i]))
    assert match.any(dim=1).all()


def test_small_sources_are_drawn_more_often_and_captions_first(corpus: dataset.Corpus) -> None:
    chance = sampling.chances(corpus)
    assert chance.sum() == pytest.approx(1)
    assert chance[0] / chance[1] == pytest.approx((18 / 6) ** 0.5)
    chosen = sampling.draw(corpus, chance, 100, 4, np.random.default_rng(0))
    assert len(chosen) == 24
    assert corpus.captioned[chosen[:4]].all()


def test_blurred_pictures_seldom_run_through_the_tower(corpus: dataset.Corpus) -> None:
    corpus.sources[1:4] = [sampling.COARSE] * 3
    always, sharp = sampling.chances(corpus), sampling.chances(corpus, sharp=True)
    assert sharp[1] / sharp[5] == pytest.approx(0.2 * always[1] / always[5])


def test_some_names_are_put_into_templates_and_sentences_never() -> None:
    found = sampling.wrapped(["cat"] * 200 + ["a cat sits on a mat"] * 100, np.random.default_rng(0))
    assert 10 < sum(text != "cat" for text in found[:200]) < 60
    assert all("cat" in text for text in found)
    assert set(found[200:]) == {"a cat sits on a mat"}
