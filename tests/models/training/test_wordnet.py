from __future__ import annotations

from pathlib import Path

import pytest

from models.training import wordnet
from models.training.hypernyms import Hypernyms, lineage

# Synsets in wndb.5WN's format, less what nobody reads: an animal, a cat, a proper name, a stone, a person.
DATA = """\
  1 This is the licence.
00000001 05 n 02 animal 0 creature 0 000 | a living thing; "it moves"
00000002 05 n 03 cat 0 house_cat 0 Felis_catus 0 001 @ 00000001 n 0000 | feline mammal
00000003 05 n 01 Garfield 0 001 @i 00000002 n 0000 | a cat of the comics
00000004 07 n 01 speed 0 000 | how fast
00000005 17 n 01 stone 0 000 | a hard thing
00000006 18 n 01 mason 0 000 | a person who works with stones
00000007 05 n 01 Siamese_cat 0 001 @ 00000002 n 0000 | a cat from Siam
"""
INDEX = """\
  1 This is the licence.
animal n 1 0 1 0 00000001
cat n 1 1 @ 1 0 00000002
house_cat n 1 1 @ 1 0 00000002
felis_catus n 1 1 @ 1 0 00000002
garfield n 1 1 @i 1 0 00000003
speed n 1 0 1 0 00000004
stone n 1 0 1 0 00000005
mason n 1 0 1 0 00000006
siamese_cat n 1 1 @ 1 0 00000007
"""


def write_words(folder: Path) -> None:
    (folder / "data.noun").write_text(DATA)
    (folder / "index.noun").write_text(INDEX)
    (folder / "index.adj").write_text("  1 This is the licence.\nstone a 1 0 1 0 00000008\n")
    (folder / "index.adv").write_text("  1 This is the licence.\n")


@pytest.fixture
def words(tmp_path: Path) -> Path:
    write_words(tmp_path)
    return tmp_path


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
