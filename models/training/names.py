"""What is true of each picture in words: its own texts, what these are kinds of, and what the teacher saw.

Notable: hypernyms come from WordNet, so that a picture labelled "Egyptian cat" is also learnt as "cat".
Refuses to know about models.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.training import mentions, wordnet
from models.training.data import Corpus

CAPTIONED = "flickr8k"  # the source whose texts are sentences rather than labels
SURE = 0.5  # probability from which the image teacher's likeliest class is taken as true
LEVELS = 5  # hypernyms upwards, at most
COLUMNS = 24  # names a picture in the bank, at most
OWN_SHARE = 0.7  # of a picture's bank target goes to its own labels, the rest to what they are kinds of
# Tops of the hierarchy that people do say, and names below them that say nothing of a picture.
_SAID = frozenset({"animal", "person", "plant", "food"})
_EMPTY = frozenset(
    {
        *(
            "area",
            "artifact",
            "body part",
            "causal agent",
            "chordate",
            "commodity",
            "consumer goods",
            "conveyance",
        ),
        *(
            "cord",
            "covering",
            "craniate",
            "creation",
            "device",
            "durables",
            "entity",
            "equipment",
            "foodstuff",
        ),
        *(
            "geological formation",
            "group",
            "implement",
            "instrument",
            "instrumentality",
            "living thing",
            "matter",
        ),
        *(
            "natural object",
            "nutriment",
            "object",
            "organ",
            "organism",
            "part",
            "physical entity",
            "placental",
        ),
        *(
            "produce",
            "solid",
            "starches",
            "strip",
            "structure",
            "substance",
            "surface",
            "unit",
            "ware",
            "way",
        ),
        "whole",
    }
)


@dataclass(frozen=True, slots=True)
class Names:
    """N pictures' words, lower case, and the bank of all names that pictures are labelled with."""

    own: list[tuple[str, ...]]  # N: captions or labels
    kinds: list[tuple[str, ...]]  # N: other synonyms and hypernyms, nearest first; may be empty
    seen: list[tuple[str, ...]]  # N: the teacher's class, when it was sure, then its hypernyms
    bank: list[str]  # C
    bank_ids: NDArray[np.int64]  # (N, COLUMNS)
    bank_p: NDArray[np.float32]  # (N, COLUMNS), rows sum to 1, or to 0 for captioned pictures
    class_kinds: list[str]  # K: other names of the image teacher's classes, and what these are kinds of
    kinds_of: NDArray[np.float32]  # (1000, K): each class' share of them, rows sum to 1, or to 0 without any
    strangers: list[str]  # nouns that name no picture, to be told from those that do
    mentions: mentions.Mentions  # nouns in captions, and the pictures that they are true of


def gather(corpus: Corpus, words: Path) -> Names:
    """Look up every picture's words."""
    own = [tuple(dict.fromkeys(t.lower() for t in texts)) for texts in corpus.texts]
    labelled = [source != CAPTIONED for source in corpus.sources]
    found = Hypernyms.read(words)
    kinds = [
        found.of(labels, wnid) if known else ()
        for labels, wnid, known in zip(own, corpus.wnids, labelled, strict=True)
    ]
    classes = [found.of_class(synonyms) for synonyms in corpus.classes]
    sure = corpus.soft_p[:, 0] > SURE
    seen = [classes[c] if s else () for c, s in zip(corpus.soft_ids[:, 0].tolist(), sure, strict=True)]
    bank, class_kinds = _bank(own, kinds, labelled), _kinds(classes)
    named = [found.meaning(labels, wnid) for labels, wnid in {*zip(own, corpus.wnids, strict=True)}]
    named += [found.meaning_of_class(synonyms) for synonyms in corpus.classes]
    said = {text for texts in (*own, bank[0], class_kinds[0]) for text in texts}
    strangers = found.strangers([each for each in named if each], said)
    clear = wordnet.unambiguous(words)  # "bike" is a motorcycle first of all, but not in most captions
    above = {
        noun: lineage(synset, found.every) if noun in clear else ()
        for noun, synset in mentions.seen_nouns(found.nouns, words).items()
    }
    captions = [() if known else texts for texts, known in zip(own, labelled, strict=True)]
    shown = [
        (*labels, *above_them) if known else ()
        for labels, above_them, known in zip(own, kinds, labelled, strict=True)
    ]
    said_of = mentions.gather(captions, shown, above)
    return Names(own, kinds, seen, *bank, *class_kinds, strangers, said_of)


@dataclass(frozen=True, slots=True)
class Hypernyms:
    """Looks labels up in WordNet."""

    every: dict[str, wordnet.Synset]
    nouns: dict[str, wordnet.Synset]
    by_names: dict[tuple[str, ...], wordnet.Synset]

    @classmethod
    def read(cls, words: Path) -> Hypernyms:
        every = wordnet.synsets(words)
        by_names = {tuple(name.lower() for name in synset.names): synset for synset in every.values()}
        return cls(every, wordnet.concrete_nouns(words), by_names)

    def of(self, labels: tuple[str, ...], wnid: str | None) -> tuple[str, ...]:
        """What a labelled picture shows, in more general words than its labels; by WordNet id if known."""
        synset = self.meaning(labels, wnid)
        return tuple(name for name in lineage(synset, self.every) if name not in labels) if synset else ()

    def meaning(self, labels: tuple[str, ...], wnid: str | None) -> wordnet.Synset | None:
        """A labelled picture's synset: by its WordNet id, else by its first label, which may be a plural."""
        if wnid:
            return self.every.get(wnid[1:])
        return self.nouns.get(labels[0]) or self.nouns.get(labels[0].removesuffix("s"))

    def of_class(self, synonyms: tuple[str, ...]) -> tuple[str, ...]:
        """An ImageNet class' usual name, then its other names and its hypernyms."""
        synset = self.meaning_of_class(synonyms)
        return tuple(dict.fromkeys((synonyms[0].lower(), *(lineage(synset, self.every) if synset else ()))))

    def meaning_of_class(self, synonyms: tuple[str, ...]) -> wordnet.Synset | None:
        low = tuple(name.lower() for name in synonyms)
        return self.by_names.get(low) or self.nouns.get(low[0])

    def strangers(self, named: list[wordnet.Synset], said: set[str]) -> list[str]:
        """Nouns true of no picture: not said, no kinds of what is named, and not what that is a kind of.

        Nor a word of what was said ("cat", where the label is "egyptian cat"), nor of people, whom captions
        show without naming them by what they are.
        """
        words = said | {word for text in said for word in text.split()}
        below = {synset.offset for synset in named}
        above = {offset for each in below for offset in wordnet.upwards(each, self.every)}
        return [
            noun
            for noun, synset in self.nouns.items()
            if noun.islower()
            and noun not in words
            and synset.kind != wordnet.PERSON
            and synset.offset not in above
            and below.isdisjoint(wordnet.upwards(synset.offset, self.every))
        ]


def lineage(synset: wordnet.Synset, every: dict[str, wordnet.Synset]) -> tuple[str, ...]:
    """All names of `synset` and of what it is a kind of, nearest first, less those that say nothing."""
    found = [name.lower() for name in synset.names]
    levels = 0
    while synset.parents and levels < LEVELS:
        synset = every[synset.parents[0]]
        usual = synset.names[0].lower()
        if usual not in _EMPTY and (synset.kind in wordnet.CONCRETE or usual in _SAID):
            levels += 1
            found += [name.lower() for name in synset.names]
    return tuple(dict.fromkeys(found))


def _kinds(classes: list[tuple[str, ...]]) -> tuple[list[str], NDArray[np.float32]]:
    """The other names and hypernyms of all classes, and which class has which."""
    columns = {name: column for column, name in enumerate(sorted({n for c in classes for n in c[1:]}))}
    shares = np.zeros((len(classes), len(columns)), np.float32)
    for row, (_, *above_it) in enumerate(classes):
        for name in above_it:
            shares[row, columns[name]] = 1 / len(above_it)
    return list(columns), shares


def _bank(
    own: list[tuple[str, ...]], kinds: list[tuple[str, ...]], labelled: list[bool]
) -> tuple[list[str], NDArray[np.int64], NDArray[np.float32]]:
    names: dict[str, int] = {}
    ids = np.zeros((len(own), COLUMNS), np.int64)
    p = np.zeros((len(own), COLUMNS), np.float32)
    for row, (labels, above_them, known) in enumerate(zip(own, kinds, labelled, strict=True)):
        if not known:
            continue
        labels, above_them = labels[: COLUMNS - LEVELS], above_them[:LEVELS]
        share = OWN_SHARE if above_them else 1.0
        shares = [share / len(labels)] * len(labels)
        shares += [(1 - share) / max(1, len(above_them))] * len(above_them)
        for column, (name, value) in enumerate(zip(labels + above_them, shares, strict=True)):
            ids[row, column], p[row, column] = names.setdefault(name, len(names)), value
    return list(names), ids, p
