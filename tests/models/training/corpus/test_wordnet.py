from __future__ import annotations

from pathlib import Path

from models.training.corpus import wordnet
from models.training.corpus.hypernyms import Hypernyms, lineage


def test_synsets_tell_names_parents_and_gloss(words: Path) -> None:
    found = wordnet.synsets(words)
    cat = found["00000002"]
    assert cat.names == ("cat", "house cat", "Felis catus")
    assert cat.parents == ("00000001",)
    assert cat.gloss == "feline mammal"
    assert found["00000001"].gloss == "a living thing"
    assert found["00000003"].is_instance


def test_concrete_nouns_leave_out_proper_names_and_what_cannot_be_seen(words: Path) -> None:
    assert sorted(wordnet.concrete_nouns(words)) == [
        "animal",
        "cat",
        "felis catus",
        "house cat",
        "mason",
        "siamese cat",
        "stone",
    ]
    assert sorted(wordnet.concrete_nouns(words, words=1)) == ["animal", "cat", "mason", "stone"]


def test_other_names_of_a_label_come_by_word_or_by_id(words: Path) -> None:
    found = Hypernyms.read(words)
    assert found.of(("house cat",), None) == ("cat", "felis catus", "animal", "creature")
    assert found.of(("cats",), None) == ("cat", "house cat", "felis catus", "animal", "creature")
    assert found.of(("some label",), "n00000002") == ("cat", "house cat", "felis catus", "animal", "creature")
    assert found.of(("some label",), None) == ()
    assert found.of_class(("cat", "house cat", "Felis catus")) == (
        *("cat", "house cat", "felis catus"),
        *("animal", "creature"),
    )
    assert lineage(found.every["00000004"], found.every) == ("speed",)


def test_strangers_are_no_kind_of_what_is_named_nor_people(words: Path) -> None:
    found = Hypernyms.read(words)
    cat, animal = found.every["00000002"], found.every["00000001"]
    assert found.strangers([cat], set()) == ["stone"]
    felines = {"cat", "felis catus", "house cat", "siamese cat"}
    assert set(found.strangers([], {"a stone wall", "animal"})) == felines
    assert found.strangers([animal], {"stone"}) == []
