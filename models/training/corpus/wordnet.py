"""WordNet's concrete nouns: names, glosses and what each is a kind of (format: wndb.5WN).

Refuses to know about models; needs Debian's `wordnet-base` or any folder with data.noun and index.noun.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WORDNET = Path("/usr/share/wordnet")
# Lexicographer files (lexnames.5WN) of what a photograph can show: act, animal, artifact, body, food, group,
# object, person, phenomenon, plant, shape, substance.
CONCRETE = frozenset({4, 5, 6, 8, 13, 14, 17, 18, 19, 20, 25, 27})
PERSON = 18  # the one of them that holds people by what they do or are
_IS_A, _INSTANCE_OF = "@", "@i"


@dataclass(frozen=True, slots=True)
class Synset:
    """One meaning: its names, the usual one first."""

    offset: str
    kind: int
    names: tuple[str, ...]
    lexical_id: int  # of the usual name: which of its meanings in this file
    parents: tuple[str, ...]  # offsets of its hypernyms
    is_instance: bool  # a proper name
    gloss: str


def synsets(folder: Path) -> dict[str, Synset]:
    """All nouns of data.noun by offset."""
    found = {}
    for line in (folder / "data.noun").read_text("latin-1").splitlines():
        if line.startswith("  "):  # the licence
            continue
        head, _, gloss = line.partition(" | ")
        fields = head.split()
        count = int(fields[3], 16)
        names = tuple(name.replace("_", " ") for name in fields[4 : 4 + 2 * count : 2])
        pointers = 4 + 2 * count
        kinds, targets = fields[pointers + 1 :: 4], fields[pointers + 2 :: 4]
        found[fields[0]] = Synset(
            offset=fields[0],
            kind=int(fields[1]),
            names=names,
            lexical_id=int(fields[5], 16),
            parents=tuple(t for k, t in zip(kinds, targets, strict=False) if k in (_IS_A, _INSTANCE_OF)),
            is_instance=_INSTANCE_OF in kinds,
            gloss=gloss.split(";")[0].strip(),
        )
    return found


def upwards(offset: str, every: dict[str, Synset]) -> list[str]:
    """The synset and what it is a kind of, nearest first."""
    found = [offset]
    while every[found[-1]].parents:
        found.append(every[found[-1]].parents[0])
    return found


def index(path: Path) -> dict[str, list[str]]:
    """The names that an index file lists (index.noun, index.adj), each with all fields of its line."""
    lines = path.read_text("latin-1").splitlines()
    rows = (line.split() for line in lines if not line.startswith("  "))  # without the licence
    return {row[0].replace("_", " "): row for row in rows}


def first_senses(folder: Path) -> dict[str, str]:
    """Each name's most common meaning: name -> offset."""
    return {name: row[4 + int(row[3]) + 2] for name, row in index(folder / "index.noun").items()}


def unambiguous(folder: Path) -> set[str]:
    """Names with one meaning: what those are a kind of is true wherever they are said."""
    return {name for name, row in index(folder / "index.noun").items() if row[2] == "1"}


def concrete_nouns(folder: Path, *, words: int = 3) -> dict[str, Synset]:
    """Names of at most `words` words whose most common meaning can be photographed; no proper names."""
    every = synsets(folder)
    found = {}
    for name, offset in first_senses(folder).items():
        synset = every[offset]
        if synset.kind in CONCRETE and not synset.is_instance and len(name.split()) <= words:
            found[name] = synset
    return found
