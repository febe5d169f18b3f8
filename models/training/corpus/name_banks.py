"""Banks of names: each picture is to find the names that are true of it among those drawn from a bank.

Four banks, all of one type: what pictures are labelled with, the 1,000 classes of the image tower's
classifier, what these are kinds of, and the nouns that captions mention. Refuses to know about models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.training.corpus import caption_nouns
from models.training.corpus.dataset import Corpus
from models.training.corpus.hypernyms import Hypernyms, above_nouns

COLUMNS = 24  # names a picture in a bank, at most
OWN_SHARE = 0.7  # of a picture's labels' target goes to its own labels, the rest to what they are kinds of
LEVELS = 5  # of these, at most
USUAL = 0.6  # chance that a class is called by its usual name, else by any of its synonyms


@dataclass(frozen=True, slots=True)
class Bank:
    """C names of which N pictures have up to K each."""

    names: list[tuple[str, ...]]  # C: synonyms, the usual one first
    ids: NDArray[np.int64]  # (N, K)
    p: NDArray[np.float32]  # (N, K); rows sum to 1, or to 0 where nothing is known
    others: Sequence[str] = ()  # names that are true of no picture

    def draw(self, count: int, others: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], list[str]]:
        """Which names are asked about, and as what; then some that are true of none."""
        columns = rng.choice(len(self.names), min(count, len(self.names)), replace=False)
        texts = [_called(self.names[column], rng) for column in columns]
        strange = rng.choice(len(self.others), min(others, len(self.others)), replace=False)
        return columns, texts + [self.others[i] for i in strange]

    def wanted(self, chosen: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float32]:
        """The pictures' shares of the names drawn: (B, C')."""
        place = np.full(max(1, len(self.names)), -1)
        place[columns] = np.arange(len(columns))
        at = place[self.ids[chosen]]  # (B, K)
        rows, known = np.nonzero(at >= 0)
        found = np.zeros((len(chosen), len(columns)), np.float32)
        np.add.at(found, (rows, at[rows, known]), self.p[chosen][rows, known])
        return found


def _called(synonyms: tuple[str, ...], rng: np.random.Generator) -> str:
    if len(synonyms) == 1 or rng.random() < USUAL:
        return synonyms[0]
    return synonyms[int(rng.integers(len(synonyms)))]


@dataclass(frozen=True, slots=True)
class Words:
    """N pictures' words, lower case."""

    own: list[tuple[str, ...]]  # N: captions or labels
    kinds: list[tuple[str, ...]]  # N: other synonyms and hypernyms, nearest first; may be empty
    of_classes: list[tuple[str, ...]]  # 1,000: the same of the classes
    banks: dict[str, Bank]

    def kinds_of_classes(self) -> NDArray[np.float32]:
        """(C, K) what each class is a kind of, of the bank of kinds; rows sum to 1, or to 0."""
        place = {names[0]: column for column, names in enumerate(self.banks["kinds"].names)}
        found = np.zeros((len(self.of_classes), len(place)), np.float32)
        for row, kinds in enumerate(self.of_classes):
            found[row, [place[kind] for kind in kinds if kind in place]] = 1
        found /= np.maximum(found.sum(axis=1, keepdims=True), 1)
        return found


def gather(corpus: Corpus, soft_ids: NDArray[np.int64], soft_p: NDArray[np.float32], words: Path) -> Words:
    """Look up every picture's words; soft_ids and soft_p (N, SOFT): what the classifier says of it."""
    own = [tuple(dict.fromkeys(text.lower() for text in texts)) for texts in corpus.texts]
    found = Hypernyms.read(words)
    labelled = (~corpus.captioned).tolist()
    kinds = [
        found.of(labels, wnid) if known else ()
        for labels, wnid, known in zip(own, corpus.wnids, labelled, strict=True)
    ]
    of_classes = [found.of_class(synonyms)[1:] for synonyms in corpus.classes]
    shown = [labels if known else () for labels, known in zip(own, labelled, strict=True)]
    named = [found.meaning(labels, wnid) for labels, wnid in {*zip(own, corpus.wnids, strict=True)}]
    named += [found.meaning_of_class(synonyms) for synonyms in corpus.classes]
    said = {text for texts in (*own, *kinds, *of_classes, *corpus.classes) for text in texts}
    strangers = found.strangers([each for each in named if each], said)
    captions = [() if known else texts for texts, known in zip(own, labelled, strict=True)]
    true = [(*labels, *above) for labels, above in zip(shown, kinds, strict=True)]
    banks = {
        "labels": of_labels(shown, kinds),
        "classes": Bank([tuple(n.lower() for n in names) for names in corpus.classes], soft_ids, soft_p),
        "kinds": of_kinds(of_classes, soft_ids, soft_p, strangers),
        "mentions": mentions_bank(captions, true, above_nouns(found, words)),
    }
    return Words(own, kinds, of_classes, banks)


def of_labels(shown: list[tuple[str, ...]], kinds: list[tuple[str, ...]]) -> Bank:
    """What pictures are labelled with, and what that is a kind of."""
    shares = []
    for labels, above in zip(shown, kinds, strict=True):
        labels, above = labels[: COLUMNS - LEVELS], above[:LEVELS]
        share = OWN_SHARE if above else 1.0
        found = dict.fromkeys(above, (1 - share) / max(1, len(above)))
        found.update(dict.fromkeys(labels, share / max(1, len(labels))))
        shares.append(found)
    return sparse(shares)


def of_kinds(
    of_classes: list[tuple[str, ...]],
    soft_ids: NDArray[np.int64],
    soft_p: NDArray[np.float32],
    strangers: list[str],
) -> Bank:
    """The other names of the classes and what these are kinds of, each with its share of the class."""
    shares = []
    for ids, p in zip(soft_ids.tolist(), soft_p.tolist(), strict=True):
        found: dict[str, float] = {}
        for each, share in zip(ids, p, strict=True):
            for name in of_classes[each]:
                found[name] = found.get(name, 0.0) + share / len(of_classes[each])
        shares.append(found)
    bank = sparse(shares)
    return Bank(bank.names, bank.ids, bank.p, strangers)


def mentions_bank(
    captions: list[tuple[str, ...]], true: list[tuple[str, ...]], above: dict[str, tuple[str, ...]]
) -> Bank:
    """The nouns that captions mention, for captioned and labelled pictures."""
    return sparse([dict(counts) for counts in caption_nouns.gather(captions, true, above)])


def sparse(shares: list[dict[str, float]]) -> Bank:
    """Each picture's names with any weights -> a bank of all of them, its COLUMNS heaviest kept."""
    index = {name: i for i, name in enumerate(sorted({name for each in shares for name in each}))}
    ids = np.zeros((len(shares), COLUMNS), np.int64)
    p = np.zeros((len(shares), COLUMNS), np.float32)
    for row, found in enumerate(shares):
        for column, name in enumerate(sorted(found, key=lambda name: -found[name])[:COLUMNS]):
            ids[row, column], p[row, column] = index[name], found[name]
    p /= np.maximum(p.sum(axis=1, keepdims=True), 1e-9)
    return Bank([(name,) for name in index], ids, p)
