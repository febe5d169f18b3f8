from __future__ import annotations

from pathlib import Path

import pytest

from models.training.corpus import caption_nouns, wordnet

ABOVE = {
    "cat": ("cat", "animal"),
    "animal": ("animal",),
    "house cat": ("house cat", "cat", "animal"),
    "mat": (),
}


def targets(
    captions: list[tuple[str, ...]], row: int, named: dict[int, tuple[str, ...]] | None = None
) -> dict[str, float]:
    named = named or {}
    found = caption_nouns.gather(captions, [named.get(i, ()) for i in range(len(captions))], ABOVE)[row]
    return {noun: count / found.total() for noun, count in found.items()}


def test_a_noun_counts_as_often_as_captions_mention_it_or_a_kind_of_it() -> None:
    captions = [("cats on a mat .", "a cat ."), ("an animal on a mat .",)] + [("a cat on a mat",)] * 3
    captions += [("an animal",)] * 3
    found = targets(captions, 0)
    assert found == pytest.approx({"cat": 2 / 5, "animal": 2 / 5, "mat": 1 / 5})
    assert targets(captions, 1) == pytest.approx({"animal": 1 / 2, "mat": 1 / 2})


def test_nouns_in_few_pictures_and_pictures_without_captions_are_left_out() -> None:
    captions = [("a house cat",)] + [("a cat",)] * 4 + [()]
    assert {noun for found in caption_nouns.gather(captions, [()] * 6, ABOVE) for noun in found} == {"cat"}
    assert targets(captions, 0) == {"cat": 1.0}
    assert targets(captions, 5) == {}


def test_a_labelled_picture_has_those_of_its_names_that_captions_mention() -> None:
    captions = [("a cat on a mat",)] * 4 + [(), ()]
    named = {4: ("tabby", "cat", "animal"), 5: ("tulip",)}
    assert targets(captions, 4, named) == {"cat": 1.0}
    assert targets(captions, 5, named) == {}


def test_adjectives_and_short_words_are_no_mentions(words: Path) -> None:
    found = caption_nouns.seen_nouns(wordnet.concrete_nouns(words), words)
    assert sorted(found) == ["animal", "cat", "felis catus", "house cat", "mason", "siamese cat"]
