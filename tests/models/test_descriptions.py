"""models/descriptions.py against averaging by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.descriptions import Described, pooled, prompts
from tests.models.fakes import direction

TEMPLATES = ("a photo of a {}.", "a sketch of a {}.")
LABELS = (
    Described("cat"),
    Described("puma", aliases=("cougar", "mountain lion"), descriptions=("a large tawny cat",)),
    Described("logo", templates=("the logo of {}",)),
)


def unit(row):
    return row / np.linalg.norm(row)


def test_prompts_are_names_and_aliases_in_templates_and_descriptions_as_they_stand() -> None:
    assert prompts(LABELS, TEMPLATES).texts == (
        "a photo of a cat.",
        "a sketch of a cat.",
        "a photo of a puma.",
        "a sketch of a puma.",
        "a photo of a cougar.",
        "a sketch of a cougar.",
        "a photo of a mountain lion.",
        "a sketch of a mountain lion.",
        "a large tawny cat",
        "the logo of logo",
    )


def test_each_way_of_saying_a_label_counts_the_same() -> None:
    made_of = prompts(LABELS, TEMPLATES)
    rows = np.stack([direction(text) for text in made_of.texts])
    found = pooled(rows, made_of)

    def way(name: str):
        return unit(np.mean([direction(t.replace("{}", name)) for t in TEMPLATES], axis=0))

    assert found[0] == pytest.approx(way("cat"), abs=1e-6)
    ways = [way("puma"), way("cougar"), way("mountain lion"), direction("a large tawny cat")]
    assert found[1] == pytest.approx(unit(np.mean(ways, axis=0)), abs=1e-6)
    assert found[2] == pytest.approx(direction("the logo of logo"), abs=1e-6)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(3), abs=1e-6)


def test_repeated_aliases_and_descriptions_count_once() -> None:
    twice = Described("cat", aliases=("cat", "puss", "puss"), descriptions=("a pet", "a pet"))
    once = Described("cat", aliases=("puss",), descriptions=("a pet",))
    assert prompts([twice], TEMPLATES).texts == prompts([once], TEMPLATES).texts
