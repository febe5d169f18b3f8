"""The nouns that people say of pictures: those in captions, as one bank for captioned and labelled pictures.

A caption is learnt whole, against the other captions of its batch. The nouns in it are learnt here, each
against all nouns that captions mention: a picture whose captions speak of a motorcycle shows no bicycle. So
is what a labelled picture shows, where that is such a noun: a tabby is a cat, and no dog.
Refuses to know about models.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

from models.training.corpus import wordnet

PICTURES = 4  # in so many pictures' captions a noun has to be
# Lexicographer files of what captions mention as a thing seen: doings, groups and shapes are left out.
_SEEN = wordnet.CONCRETE - {4, 14, 25}
_SHORTEST = 3  # letters; shorter ones are words of other kinds: "i" is iodine's symbol
_WORD = re.compile(r"[a-z][a-z'-]*")


def gather(
    captions: list[tuple[str, ...]], named: list[tuple[str, ...]], above: dict[str, tuple[str, ...]]
) -> list[Counter[str]]:
    """The nouns in N pictures' captions, lower case, or those among the names of what a picture shows.

    `above`: each noun's other names and what it is a kind of. Those that captions mention somewhere count as
    mentioned with it: no caption that says "motorcycle" denies that it is a vehicle.
    """
    mentioned = [Counter(noun for each in texts for noun in _nouns(each, above)) for texts in captions]
    spread = Counter(noun for each in mentioned for noun in each)
    bank = {noun for noun, count in spread.items() if count >= PICTURES}
    for counts, names in zip(mentioned, named, strict=True):
        for noun, count in list(counts.items()):
            for other in above[noun]:
                counts[other] = max(counts[other], count)
        counts.update(names)
    return [Counter({n: count for n, count in counts.items() if n in bank}) for counts in mentioned]


def _nouns(caption: str, above: dict[str, tuple[str, ...]]) -> list[str]:
    """The different nouns in one caption, in the singular, of one word or two; always in the same order."""
    words = _WORD.findall(caption)
    said = [*words, *(f"{one} {next_}" for one, next_ in pairwise(words))]
    found = (noun for each in said for noun in (each, each.removesuffix("s")) if noun in above)
    return list(dict.fromkeys(found))


def seen_nouns(nouns: dict[str, wordnet.Synset], folder: Path) -> dict[str, wordnet.Synset]:
    """Those of `nouns` that name a thing seen, and are no adjective or adverb ("white", "down") besides."""
    other = wordnet.index(folder / "index.adj") | wordnet.index(folder / "index.adv")
    return {
        name: synset
        for name, synset in nouns.items()
        if synset.kind in _SEEN and len(name) >= _SHORTEST and name not in other
    }
