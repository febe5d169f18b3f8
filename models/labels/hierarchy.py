"""Labels that are paths, `animal > dog > beagle`: probabilities add up the tree, an answer may stop early.

The classifier sees only the last name of a path, so the flat probabilities of the labels are all that is
needed; a node's probability is the sum of the labels at and below it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from models.errors import InvalidRequest

SEPARATOR: Final = " > "
"""What makes a label a path. With its spaces, so that "a->b" and "x>5" stay plain labels."""
MAX_LEVELS: Final = 20
"""Names in a path (iNaturalist's taxonomy has 7). Each level is a node to add up and to show."""
SURE: Final = 0.5
"""Probability from which a node is the answer: more likely than everything else together."""

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One place in the tree."""

    path: Path
    probability: float

    @property
    def label(self) -> str:
        return join(self.path)


@dataclass(frozen=True, slots=True)
class TreeAnswer:
    """Every level of the tree ranked, and the deepest node that the answer is sure of."""

    levels: tuple[tuple[Node, ...], ...]  # levels[0] are the roots; highest probability first
    sure: Node | None  # None: not even of a root


def parse(label: str) -> Path:
    """`animal > dog > beagle` -> ("animal", "dog", "beagle"); a label without ` > ` is a path of one.

    Raises InvalidRequest for an empty name, and for more than MAX_LEVELS names.
    """
    names = re.split(r"(?<!\S)>(?!\S)", label) if is_path(label) else [label]
    path = tuple(name.strip() for name in names)
    if not all(path):
        raise InvalidRequest(f"label {label[:80]!r} has an empty name in its path", field="labels")
    if len(path) > MAX_LEVELS:
        message = f"label {label[:80]!r} has {len(path)} levels; at most {MAX_LEVELS}"
        raise InvalidRequest(message, field="labels")
    return path


def join(path: Path) -> str:
    """The one spelling of a path."""
    return SEPARATOR.join(path)


def is_path(label: str) -> bool:
    """Whether the label is a path of more than one name."""
    return SEPARATOR in label


def names(labels: Sequence[str]) -> list[str]:
    """What the classifier should read for each label: the last name of its path.

    Where two paths end alike the parent is added, as ImageNet's names do it: `bat (animal)`, `bat (sport)`.
    """
    paths = [parse(label) for label in labels]
    ends = Counter(path[-1].casefold() for path in paths)
    return [
        f"{path[-1]} ({path[-2]})" if ends[path[-1].casefold()] > 1 and len(path) > 1 else path[-1]
        for path in paths
    ]


def roll_up(probabilities: Mapping[str, float], *, sure: float = SURE) -> TreeAnswer:
    """Label -> probability, added up the tree."""
    totals: dict[Path, float] = {}
    for label, probability in probabilities.items():
        path = parse(label)
        for depth in range(1, len(path) + 1):
            totals[path[:depth]] = totals.get(path[:depth], 0.0) + probability
    nodes = sorted((Node(path, p) for path, p in totals.items()), key=lambda node: -node.probability)
    deepest = max((len(path) for path in totals), default=0)
    levels = tuple(tuple(n for n in nodes if len(n.path) == depth + 1) for depth in range(deepest))
    return TreeAnswer(levels, _deepest(levels, sure))


def _deepest(levels: Sequence[Sequence[Node]], sure: float) -> Node | None:
    """From the best root down, as long as the best child is sure by itself."""
    deepest: Node | None = None
    for level in levels:
        below = [node for node in level if deepest is None or node.path[:-1] == deepest.path]
        if not below or below[0].probability < sure:
            break
        deepest = below[0]
    return deepest
