"""The nouns that people say of pictures: those in captions, as one bank for captioned and labelled pictures.

A caption is learnt whole, against the other captions of its batch. The nouns in it are learnt here, each
against all nouns that captions mention: a picture whose captions speak of a motorcycle shows no bicycle. So
is what a labelled picture shows, where that is such a noun: a tabby is a cat, and no dog.
Refuses to know about models.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.training import wordnet

PICTURES = 4  # in so many pictures' captions a noun has to be
COLUMNS = 24  # nouns a picture, at most: those that most of its captions mention
# Lexicographer files of what captions mention as a thing seen: doings, groups and shapes are left out.
_SEEN = wordnet.CONCRETE - {4, 14, 25}
_SHORTEST = 3  # letters; shorter ones are words of other kinds: "i" is iodine's symbol
_WORD = re.compile(r"[a-z][a-z'-]*")


@dataclass(frozen=True, slots=True)
class Mentions:
    """The M nouns that captions mention, and which of them are true of each of N pictures."""

    nouns: list[str]  # M
    ids: NDArray[np.int64]  # (N, COLUMNS)
    p: NDArray[np.float32]  # (N, COLUMNS), rows sum to 1, or to 0 where none is known


def gather(
    captions: list[tuple[str, ...]], named: list[tuple[str, ...]], above: dict[str, tuple[str, ...]]
) -> Mentions:
    """The nouns in N pictures' captions, lower case, or those among the names of what a picture shows.

    `above`: each noun's other names and what it is a kind of. Those that captions mention somewhere count as
    mentioned with it: no caption that says "motorcycle" denies that it is a vehicle.
    """
    mentioned = [Counter(noun for each in texts for noun in _nouns(each, above)) for texts in captions]
    spread = Counter(noun for each in mentioned for noun in each)
    bank = {noun: i for i, noun in enumerate(sorted(n for n, count in spread.items() if count >= PICTURES))}
    ids = np.zeros((len(captions), COLUMNS), np.int64)
    p = np.zeros((len(captions), COLUMNS), np.float32)
    for row, counts in enumerate(mentioned):
        for noun, count in list(counts.items()):
            for other in above[noun]:
                counts[other] = max(counts[other], count)
        counts.update(named[row])
        known = Counter({noun: count for noun, count in counts.items() if noun in bank})
        for column, (noun, count) in enumerate(known.most_common(COLUMNS)):
            ids[row, column], p[row, column] = bank[noun], count
    p /= np.maximum(p.sum(axis=1, keepdims=True), 1)
    return Mentions(list(bank), ids, p)


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
