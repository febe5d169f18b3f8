"""Do words that the training never paired with a picture work? 300 trials with evaluation photographs.

    python -m bench.words --corpus ../shared/corpus --eval ../shared/eval

A trial is one photograph, a synonym or hypernym of its class that is in no caption and no label of the
training pairs, and three unrelated nouns that are in none either; it is won when the right word ranks first.
Chance is 0.25. Trials are drawn in two ways: every photograph as likely as another, and every class, which is
harder, since nine in ten of these are ImageNet's with one photograph each. The last two figures leave out
all words that the training derived for itself as well: names of the 1,000 classes of the soft labels, and
hypernyms of labels. Needs WordNet (Debian: wordnet-base).
"""

from __future__ import annotations

import argparse
import json
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

import models
from models.training.corpus import dataset, hypernyms, wordnet

SETS = ("imagenette", "caltech101", "imagenet-1k-one-each")
LEVELS = 4  # hypernyms upwards that still name what is seen
WRONG = 3  # unrelated nouns a trial
PHRASE = 5  # words; WordNet's longer names are not tried

Alike = Literal["photograph", "class"]  # of which each is as likely as another


@dataclass(frozen=True, slots=True)
class Word:
    """A noun and what it means."""

    noun: str
    offset: str


@dataclass(frozen=True, slots=True)
class Trial:
    photograph: bytes
    right: str
    wrong: tuple[str, ...]


def said(texts: list[tuple[str, ...]]) -> set[str]:
    """All runs of up to PHRASE words in captions and labels."""
    runs: set[str] = set()
    for text in {text.lower() for each in texts for text in each}:
        words = re.findall(r"[\w'-]+", text)
        for length in range(1, PHRASE + 1):
            runs.update(" ".join(words[i : i + length]) for i in range(len(words) - length + 1))
    return runs


def corpus_words(corpus: Path, words: Path) -> tuple[set[str], set[str]]:
    """All that captions and labels say, and all that the training derived from them."""
    pairs = [sample for shard in dataset.shards(corpus) for sample, _ in dataset.read_shard(shard)]
    found = hypernyms.Hypernyms.read(words)
    classes = dataset.class_names(corpus)
    derived = [*classes, *(found.of_class(synonyms) for synonyms in classes)]
    for sample in pairs:
        if "labels" in sample:
            labels = tuple(label.lower() for label in sample["labels"])
            derived.append(found.of(labels, sample.get("wnid")))
    return said([tuple(sample.get("captions") or sample["labels"]) for sample in pairs]), said(derived)


def unheard(noun: str, spoken: set[str]) -> bool:
    """Neither the noun nor its plural was said."""
    return spoken.isdisjoint((noun.lower(), f"{noun.lower()}s", f"{noun.lower()}es"))


def words_for(offset: str, every: dict[str, wordnet.Synset], senses: dict[str, str]) -> list[Word]:
    """Synonyms and near hypernyms whose most common meaning this is."""
    found = []
    for level in wordnet.upwards(offset, every)[: LEVELS + 1]:
        synset = every[level]
        if synset.kind in wordnet.CONCRETE:
            found += [Word(n, level) for n in synset.names if _tried(n, level, senses)]
    return found


def _tried(noun: str, offset: str, senses: dict[str, str]) -> bool:
    return noun.islower() and len(noun.split()) <= PHRASE and senses.get(noun) == offset


def trials(
    photographs: list[tuple[str, bytes]],
    vocabulary: dict[str, list[Word]],
    every: dict[str, wordnet.Synset],
    count: int,
    seed: int,
    *,
    alike: Alike,
) -> list[Trial]:
    """`count` trials; every "photograph" or every "class" with words is as likely as another.

    So is each word of the class.
    """
    rng = np.random.default_rng(seed)
    by_class: dict[str, list[bytes]] = {}
    for offset, photograph in photographs:
        if vocabulary.get(offset):
            by_class.setdefault(offset, []).append(photograph)
    classes = sorted(by_class)
    sizes = np.array([len(by_class[offset]) if alike == "photograph" else 1 for offset in classes])
    pool = sorted({(w.noun, w.offset) for offset in classes for w in vocabulary[offset]})
    kin = {o: set(wordnet.upwards(o, every)[: LEVELS + 2]) for o in {*classes, *(other for _, other in pool)}}
    found: list[Trial] = []
    while len(found) < count:
        offset = classes[int(rng.choice(len(classes), p=sizes / sizes.sum()))]
        right = vocabulary[offset][int(rng.integers(len(vocabulary[offset])))]
        strangers = [noun for noun, other in pool if kin[offset].isdisjoint(kin[other])]
        wrong = tuple(str(noun) for noun in rng.choice(strangers, WRONG, replace=False))
        pictures = by_class[offset]
        found.append(Trial(pictures[int(rng.integers(len(pictures)))], right.noun, wrong))
    return found


def play(classifier: models.Classifier, games: list[Trial]) -> float:
    """Share of trials won."""
    won = 0
    for game in games:
        vector = classifier.embed_image(game.photograph).result().vector  # (D,)
        texts = classifier.embed_texts([game.right, *game.wrong]).result()  # (1 + WRONG, D)
        won += int(np.argmax(texts @ vector)) == 0
    return won / len(games)


def read(folder: Path, senses: dict[str, wordnet.Synset]) -> list[tuple[str, bytes]]:
    """All evaluation photographs whose class is a noun of WordNet: (offset, file)."""
    found = []
    for name in SETS:
        with tarfile.open(folder / f"{name}.tar.gz") as tar:
            for member in tar:
                file = tar.extractfile(member)
                synset = senses.get(Path(member.name).parent.name.lower())
                if file is not None and synset is not None:
                    found.append((synset.offset, file.read()))
    return found


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    parser.add_argument("--eval", type=Path, default=Path("../shared/eval"))
    parser.add_argument("--words", type=Path, default=wordnet.WORDNET, help="folder with data.noun")
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    chosen = options()
    every, senses = wordnet.synsets(chosen.words), wordnet.first_senses(chosen.words)
    photographs = read(chosen.eval, wordnet.concrete_nouns(chosen.words))
    spoken, derived = corpus_words(chosen.corpus, chosen.words)
    offsets = sorted({offset for offset, _ in photographs})
    outside = {o: [w for w in words_for(o, every, senses) if unheard(w.noun, spoken)] for o in offsets}
    never = {o: [w for w in words if unheard(w.noun, derived)] for o, words in outside.items()}
    classifier = models.load(chosen.model)
    try:
        for title, vocabulary in (("in no caption or label", outside), ("in no text of any kind", never)):
            for alike in get_args(Alike):
                games = trials(photographs, vocabulary, every, chosen.trials, chosen.seed, alike=alike)
                row = {
                    "words": title,
                    "alike": f"every {alike}",
                    "nouns": len({w.noun for words in vocabulary.values() for w in words}),
                    "nouns_used": len({game.right for game in games}),
                    "trials": len(games),
                    "won": round(play(classifier, games), 4),
                }
                print(json.dumps(row), flush=True)
    finally:
        classifier.close()


if __name__ == "__main__":
    main()
