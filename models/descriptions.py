"""Labels that are more than a word: aliases, descriptions and prompts of their own, averaged into one row.

Every way of saying a label counts the same: its name and each alias, filled into the templates, and each
description, read as it stands. The templates of one way are averaged and renormalised as CLIP does it, then
the ways likewise; so eighty templates of the name do not drown one description. Knows no model: callers
embed the prompts in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.prompts import fill


@dataclass(frozen=True, slots=True)
class Described:
    """A label as a label set keeps it."""

    name: str
    aliases: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()  # in place of the set's, for this label alone


@dataclass(frozen=True, slots=True)
class Prompts:
    """What to embed, and how to put it together again."""

    texts: tuple[str, ...]  # (P,)
    way_of_text: NDArray[np.intp]  # (P,) in 0 … W - 1
    label_of_way: NDArray[np.intp]  # (W,) in 0 … N - 1


def prompts(labels: Sequence[Described], templates: Sequence[str]) -> Prompts:
    """All prompts of all labels, in the order of the labels."""
    texts: list[str] = []
    way_of_text: list[int] = []
    label_of_way: list[int] = []
    for number, label in enumerate(labels):
        names = dict.fromkeys((label.name, *label.aliases))
        ways = [[fill(template, name) for template in label.templates or templates] for name in names]
        ways += [[description] for description in dict.fromkeys(label.descriptions)]
        for way in ways:
            texts += way
            way_of_text += [len(label_of_way)] * len(way)
            label_of_way.append(number)
    return Prompts(tuple(texts), np.array(way_of_text, np.intp), np.array(label_of_way, np.intp))


def pooled(rows: NDArray[np.float32], made_of: Prompts) -> NDArray[np.float32]:
    """The labels' unit rows (N, D) from the unit rows of their prompts (P, D)."""
    return _average(_average(rows, made_of.way_of_text), made_of.label_of_way)


def _average(rows: NDArray[np.float32], owners: NDArray[np.intp]) -> NDArray[np.float32]:
    """Mean of the rows of each owner, renormalised. Owners come in order, each with at least one row."""
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    means = np.add.reduceat(rows, starts, axis=0)  # sums: the length does not matter for the direction
    unit: NDArray[np.float32] = means / np.linalg.norm(means, axis=-1, keepdims=True)
    return unit
