from __future__ import annotations

import numpy as np
import pytest

from models.training.corpus import name_banks
from models.training.corpus.name_banks import Bank
from tests.models.training.conftest import prepared


def targets(bank: Bank, row: int) -> dict[str, float]:
    return {bank.names[i][0]: p for i, p in zip(bank.ids[row], bank.p[row], strict=True) if p}


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> name_banks.Words:
    """Of a corpus whose second picture is labelled as a house cat."""
    folder = tmp_path_factory.mktemp("banks")
    corpus = prepared(folder)
    corpus.texts[1] = ("House cat", "pet")
    ids, p = np.full((24, 1), 3), np.ones((24, 1), np.float32)
    return name_banks.gather(corpus, ids, p, folder / "words")


def test_a_picture_is_known_by_its_own_words_and_their_kinds(words: name_banks.Words) -> None:
    assert words.own[1] == ("house cat", "pet")
    assert words.kinds[1] == ("cat", "felis catus", "animal", "creature")
    found = targets(words.banks["labels"], 1)
    assert found == pytest.approx({"house cat": 0.35, "pet": 0.35} | dict.fromkeys(words.kinds[1], 0.3 / 4))


def test_captioned_pictures_have_no_labels_and_labelled_ones_mentions(words: name_banks.Words) -> None:
    assert targets(words.banks["labels"], 0) == {}
    assert words.kinds[0] == ()
    assert targets(words.banks["mentions"], 0) == {"cat": 1.0}
    assert "cat" in targets(words.banks["mentions"], 1)
    assert targets(words.banks["mentions"], 2) == {}


def test_a_class_gives_its_share_to_its_other_names_and_kinds(words: name_banks.Words) -> None:
    found = targets(words.banks["kinds"], 5)
    assert found.keys() == {"cat", "felis catus", "animal", "creature"}
    assert sum(found.values()) == pytest.approx(1)
    assert "stone" in words.banks["kinds"].others
    assert "mason" not in words.banks["kinds"].others


def test_a_class_is_of_its_kinds_in_equal_shares(words: name_banks.Words) -> None:
    found = words.kinds_of_classes()
    names = [names[0] for names in words.banks["kinds"].names]
    assert found.shape == (len(words.of_classes), len(names))
    shares = {name: share for name, share in zip(names, found[3].tolist(), strict=True) if share}
    assert shares == pytest.approx(dict.fromkeys(("cat", "felis catus", "animal", "creature"), 0.25))


def test_a_draw_asks_about_some_names_and_knows_their_shares() -> None:
    bank = name_banks.sparse([{"cat": 3.0, "dog": 1.0}, {}, {"dog": 1.0}])
    bank = Bank(bank.names, bank.ids, bank.p, ["stone"])
    columns, texts = bank.draw(9, 5, np.random.default_rng(0))
    assert texts[2:] == ["stone"]
    assert sorted(texts[:2]) == ["cat", "dog"]
    wanted = bank.wanted(np.array([0, 1, 2]), columns)
    cat, dog = texts.index("cat"), texts.index("dog")
    assert wanted[:, cat].tolist() == [0.75, 0, 0]
    assert wanted[:, dog].tolist() == [0.25, 0, 1]
    assert bank.wanted(np.array([0]), columns[:1]).shape == (1, 1)


def test_a_class_is_called_by_any_of_its_names() -> None:
    bank = Bank([("tench", "tinca tinca")], np.zeros((1, 1), np.int64), np.ones((1, 1), np.float32))
    rng = np.random.default_rng(0)
    assert {bank.draw(1, 0, rng)[1][0] for _ in range(40)} == {"tench", "tinca tinca"}
