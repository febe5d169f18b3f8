"""Labels that say more than their name, and the prompts that a text tower reads for them.

A label's texts are its name and its aliases in every template, and each of its descriptions after the name,
as in "a photo of a {name}, {description}." (after Menon and Vondrick, arXiv 2210.07183); or its own prompts
in place of all that. The embeddings of a label's texts are averaged and renormalised, as CLIP does it with
templates. A list of plain names is such a set too (`plain`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from models.errors import InvalidRequest
from models.labels import hierarchy
from models.labels.prompts import SLOT, check_prompts, fill, templates_of, with_domain

MAX_TEXTS: Final = 50
"""Aliases, descriptions or prompts of one label, each: more than anybody published for one."""
MAX_TEXT_CHARS: Final = 300
"""Characters of one of them: a context of 77 tokens holds about 300 of English."""
PATH: Final = hierarchy.SEPARATOR

Mode = Literal["single", "multi"]


class Label(NamedTuple):
    """One label and what else is known of it."""

    name: str
    aliases: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()  # in place of templates; each whole, or with one "{}" for the name
    threshold: float | None = None  # of mode "multi", 0 … 1; None: the set's


@dataclass(frozen=True, slots=True)
class LabelSet:
    """A classifier as a person describes it."""

    labels: tuple[Label, ...]
    templates: tuple[str, ...] = ()  # templates or presets; none: the model's own
    domain: str | None = None
    mode: Mode = "single"
    threshold: float | None = None  # of mode "multi"; None: `scoring.multi_label.THRESHOLD`
    reject: bool = False
    reject_threshold: float | None = None  # None: `scoring.out_of_set.THRESHOLD`
    paths: bool = True  # a name with " > " is a path in a tree

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    @property
    def is_tree(self) -> bool:
        return self.paths and any(map(hierarchy.is_path, self.names))

    @property
    def is_plain(self) -> bool:
        """Whether a list of names says it all."""
        spare = all(not (x.aliases or x.descriptions or x.prompts) for x in self.labels)
        return spare and not self.is_tree


def plain(names: Sequence[str], templates: Sequence[str] = ()) -> LabelSet:
    """The set of plain names: each is read as it stands, also one with " > "."""
    return LabelSet(tuple(map(Label, names)), tuple(templates), paths=False)


def check(label_set: LabelSet) -> None:
    """Raise InvalidRequest, naming the field, for what no classifier can be made of."""
    if not label_set.labels:
        raise InvalidRequest("labels: at least one label is needed", field="labels")
    seen: dict[str, int] = {}
    is_tree = label_set.is_tree
    for position, label in enumerate(label_set.labels):
        field = f"labels[{position}]"
        if not label.name.strip():
            whole = field if label_set.paths else "labels"  # of plain names the list is the field
            raise InvalidRequest(f"{field} is empty; every label needs a word", field=whole)
        spelt = hierarchy.join(hierarchy.parse(label.name)) if is_tree else label.name
        if spelt in seen:
            first = f"labels[{seen[spelt]}]"
            raise InvalidRequest(f"{field} repeats {first}: {label.name[:80]!r}", field=field)
        seen[spelt] = position
        for kind in ("aliases", "descriptions", "prompts"):
            if texts := getattr(label, kind):
                _check_texts(texts, f"{field}.{kind}")
        if any(prompt.count(SLOT) > 1 for prompt in label.prompts):
            raise InvalidRequest(f"{field}.prompts: at most one {SLOT} in each", field=f"{field}.prompts")
    templates = len(templates_for(label_set, "plain"))
    counts = (
        len(x.prompts) or (1 + len(x.aliases) + len(x.descriptions)) * templates for x in label_set.labels
    )
    check_prompts(sum(counts), len(label_set.labels))


def _check_texts(texts: Sequence[str], field: str) -> None:
    if len(texts) > MAX_TEXTS:
        raise InvalidRequest(f"{field} has {len(texts)} entries; at most {MAX_TEXTS}", field=field)
    for text in texts:
        if not text.strip() or len(text) > MAX_TEXT_CHARS:
            raise InvalidRequest(f"{field}: each must have 1 to {MAX_TEXT_CHARS} characters", field=field)


def templates_for(label_set: LabelSet, default: str) -> tuple[str, ...]:
    """The set's templates with its domain; `default` names the model's own."""
    templates = templates_of(label_set.templates or (default,))
    return with_domain(templates, label_set.domain) if label_set.domain else templates


def texts_of(label_set: LabelSet, templates: Sequence[str]) -> list[tuple[str, ...]]:
    """What the text tower reads for each label, each text once."""
    names = hierarchy.names(label_set.names) if label_set.is_tree else label_set.names
    return [_texts(label, name, templates) for label, name in zip(label_set.labels, names, strict=True)]


def _texts(label: Label, name: str, templates: Sequence[str]) -> tuple[str, ...]:
    if label.prompts:
        return tuple(dict.fromkeys(fill(prompt, name) for prompt in label.prompts))
    subjects = (name, *label.aliases, *(f"{name}, {text}" for text in label.descriptions))
    return tuple(dict.fromkeys(fill(template, subject) for subject in subjects for template in templates))
