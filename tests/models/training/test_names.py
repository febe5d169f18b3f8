from __future__ import annotations

from pathlib import Path

import pytest

from models.training import names
from models.training.data import Corpus
from tests.models.training.test_wordnet import words

__all__ = ["words"]


def test_a_picture_is_known_by_its_own_words_and_their_kinds(corpus: Corpus, words: Path) -> None:
    corpus.texts[6] = ("House cat", "pet")
    found = names.gather(corpus, words)
    assert found.own[6] == ("house cat", "pet")
    assert found.kinds[6] == ("cat", "felis catus", "animal", "creature")
    assert found.seen[6] == ("red",)
    row = {found.bank[i]: p for i, p in zip(found.bank_ids[6], found.bank_p[6], strict=True) if p}
    assert row == pytest.approx({"house cat": 0.35, "pet": 0.35} | dict.fromkeys(found.kinds[6], 0.3 / 4))


def test_captioned_pictures_have_no_place_in_the_bank(corpus: Corpus, words: Path) -> None:
    found = names.gather(corpus, words)
    assert found.bank_p[:6].sum() == 0
    assert found.bank_p[6:].sum(axis=1) == pytest.approx(1)
    assert found.kinds[0] == ()
