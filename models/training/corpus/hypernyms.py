"""What a label means and what that is a kind of, by WordNet: an "Egyptian cat" is learnt as "cat" as well.

Refuses to know about models.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.training.corpus import caption_nouns, wordnet

LEVELS = 5  # hypernyms upwards, at most
# Tops of the hierarchy that people do say, and names below them that say nothing of a picture.
_SAID = frozenset({"animal", "person", "plant", "food"})
_EMPTY_NAMES = (
    "area, artifact, body part, causal agent, chordate, commodity, consumer goods, conveyance, cord, "
    "covering, craniate, creation, device, durables, entity, equipment, foodstuff, geological formation, "
    "group, implement, instrument, instrumentality, living thing, matter, natural object, nutriment, "
    "object, organ, organism, part, physical entity, placental, produce, solid, starches, strip, "
    "structure, substance, surface, unit, ware, way, whole"
)
_EMPTY = frozenset(_EMPTY_NAMES.split(", "))


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


def above_nouns(found: Hypernyms, words: Path) -> dict[str, tuple[str, ...]]:
    """The nouns that a caption may mention, each with its other names and what it is a kind of.

    Only where the noun has one meaning: "bike" is a motorcycle first of all, but not in most captions.
    """
    clear = wordnet.unambiguous(words)
    return {
        noun: lineage(synset, found.every) if noun in clear else ()
        for noun, synset in caption_nouns.seen_nouns(found.nouns, words).items()
    }
