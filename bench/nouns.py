"""Writes models/scoring/nouns.txt, the unrelated nouns that labels are compared with to reject a picture.

    apt-get install wordnet-base && python -m bench.nouns > models/scoring/nouns.txt

Concrete nouns of WordNet 3.0: the first word of a synset that is also this word's first sense, never a
proper name. People know it when WordNet's sense-tagged texts hold it, or when every one of its words is one
token of CLIP's vocabulary; the most familiar of each kind are kept. Chosen without a look at any picture.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path

from models.training.corpus.wordnet import PERSON, WORDNET, Synset, first_senses, synsets

# WordNet's lexicographer files (lexnames.5WN) and how many nouns of each the bank holds.
QUOTA = {5: 300, 6: 700, 8: 50, 13: 200, 17: 80, 19: 30, 20: 150, 27: 90, 18: 100}
# People only by what they do: WordNet's other nouns for persons hold too many insults.
PEOPLE = {"worker", "musician", "athlete", "professional", "serviceman", "performer", "artist", "scientist"}
# Concrete, but hurtful or obscene where a label is shown back to somebody; or first of all a name.
LEFT_OUT = {
    "batman",
    "breast",
    "cannabis",
    "chad",
    "crap",
    "erica",
    "jimmy",
    "kylie",
    "liza",
    "nude",
    "rape",
    "timothy",
    "veronica",
    "bomb shelter",
    "cherry bomb",
    "gas chamber",
    "human waste",
    "working girl",
}


def tagged(folder: Path) -> Counter[tuple[str, int, int]]:
    """How often WordNet's sense-tagged texts hold (lemma, kind, lexical id)."""
    count: Counter[tuple[str, int, int]] = Counter()
    for line in (folder / "cntlist.rev").read_text("latin-1").splitlines():
        key, _, times = line.split()
        lemma, _, sense = key.partition("%")
        part_of_speech, kind, lexical_id = sense.split(":")[:3]
        if part_of_speech == "1":
            count[lemma.replace("_", " "), int(kind), int(lexical_id)] += int(times)
    return count


def people(every: dict[str, Synset]) -> set[str]:
    """Offsets below one of PEOPLE."""
    inside = {offset for offset, noun in every.items() if noun.kind == PERSON and noun.names[0] in PEOPLE}
    while more := {o for o, noun in every.items() if o not in inside and inside.intersection(noun.parents)}:
        inside |= more
    return inside


def chosen(folder: Path) -> dict[int, list[str]]:
    """The most familiar nouns of each kind, in alphabetical order."""
    from open_clip.tokenizer import SimpleTokenizer

    words = SimpleTokenizer().encoder  # CLIP's 49,408 tokens; "</w>" ends a word
    every = {offset: noun for offset, noun in synsets(folder).items() if not noun.is_instance}
    first, count, occupations = first_senses(folder), tagged(folder), people(every)
    ranked: dict[int, list[tuple[int, int, str]]] = {kind: [] for kind in QUOTA}
    for noun in every.values():
        name = noun.names[0]
        if noun.kind not in QUOTA or first.get(name) != noun.offset or len(name) < 3:
            continue
        if not re.fullmatch(r"[a-z]+( [a-z]+)?", name) or not LEFT_OUT.isdisjoint((name, *name.split())):
            continue
        if noun.kind == PERSON and noun.offset not in occupations:
            continue
        times = count[name, noun.kind, noun.lexical_id]
        token_ids = [words.get(f"{word}</w>") for word in name.split()]
        if None not in token_ids and (times or " " not in name):
            rarest = max(token for token in token_ids if token is not None)  # merges are learnt in order
            ranked[noun.kind].append((rarest, -times, name))
        elif times > 1:
            ranked[noun.kind].append((len(words), -times, name))
    return {kind: sorted(name for *_, name in sorted(ranked[kind])[:quota]) for kind, quota in QUOTA.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wordnet", type=Path, default=WORDNET, help="folder with data.noun")
    bank = chosen(parser.parse_args().wordnet)
    print(HEADER, end="")
    print("\n".join(sorted({name for names in bank.values() for name in names})))


HEADER = """\
# Unrelated nouns for models/scoring/out_of_set.py, written by bench/nouns.py from WordNet 3.0.
#
# This software and database is being provided to you, the LICENSEE, by Princeton University under the
# following license. By obtaining, using and/or copying this software and database, you agree that you have
# read, understood, and will comply with these terms and conditions.:
#
# Permission to use, copy, modify and distribute this software and database and its documentation for any
# purpose and without fee or royalty is hereby granted, provided that you agree to comply with the following
# copyright notice and statements, including the disclaimer, and that the same appear on ALL copies of the
# software, database and documentation, including modifications that you make for internal use or for
# distribution.
#
# WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved.
#
# THIS SOFTWARE AND DATABASE IS PROVIDED "AS IS" AND PRINCETON UNIVERSITY MAKES NO REPRESENTATIONS OR
# WARRANTIES, EXPRESS OR IMPLIED. BY WAY OF EXAMPLE, BUT NOT LIMITATION, PRINCETON UNIVERSITY MAKES NO
# REPRESENTATIONS OR WARRANTIES OF MERCHANTABILITY OR FITNESS FOR ANY PARTICULAR PURPOSE OR THAT THE USE OF
# THE LICENSED SOFTWARE, DATABASE OR DOCUMENTATION WILL NOT INFRINGE ANY THIRD PARTY PATENTS, COPYRIGHTS,
# TRADEMARKS OR OTHER RIGHTS.
#
# The name of Princeton University or Princeton may not be used in advertising or publicity pertaining to
# distribution of the software and/or database. Title to copyright in this software, database and any
# associated documentation shall at all times remain with Princeton University and LICENSEE agrees to
# preserve same.
"""

if __name__ == "__main__":
    main()
