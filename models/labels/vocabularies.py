"""Words for those who have none: lists that ship with Candid, each with its source.

A file of `vocabularies/` begins with three comments (source, licence, prompt template; an empty template is
the model's own), then has one label a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Literal, get_args

VocabularyName = Literal["things", "scenes", "imagenet-1k", "colours", "textures"]
NAMES: Final[tuple[VocabularyName, ...]] = get_args(VocabularyName)
TOP_K: Final = 10
"""Labels in an answer, unless the caller says how many: nobody reads a thousand."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One list."""

    name: VocabularyName
    labels: tuple[str, ...]
    templates: tuple[str, ...]  # none: the model's own
    source: str
    licence: str


@cache
def vocabulary(name: VocabularyName) -> Vocabulary:
    """The list of that name, read once."""
    text = resources.files("models.labels").joinpath("vocabularies", f"{name}.txt").read_text("utf-8")
    comments = [line for line in text.splitlines() if line.startswith("#")]
    source, licence, template = (line.partition(": ")[2] for line in comments[:3])
    labels = tuple(line for line in text.splitlines() if line and not line.startswith("#"))
    return Vocabulary(name, labels, (template,) if template else (), source, licence)
