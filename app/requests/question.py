"""What is asked of the labels, whoever asks: the HTTP API, another program's format, the command line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from app.requests.body import validate
from app.requests.limits import at_most, no_longer_than
from app.schemas.label_sets import LabelSetBody, label_set_of
from app.schemas.requests import ClassifyBody
from app.settings import Settings
from models.errors import InvalidRequest
from models.labels.hierarchy import SEPARATOR
from models.labels.label_matrix import warnings_about
from models.labels.label_set import LabelSet, check, plain
from models.labels.vocabularies import TOP_K, Vocabulary, vocabulary

OF_LABEL_SET: Final = ("domain", "mode", "threshold", "reject", "reject_threshold")
"""Fields of ClassifyBody that a label set has too."""


@dataclass(frozen=True, slots=True)
class Question:
    """Plain labels, or else a label set that came with the request, or else the name of a stored one.

    A vocabulary is plain labels, or a label set that came with the request, by name.
    """

    labels: tuple[str, ...] = ()  # names and nothing else; may repeat
    templates: tuple[str, ...] = ()  # templates or presets for `labels`; none: the model's own
    label_set: LabelSet | None = None
    name: str | None = None
    vocabulary: str | None = None  # where the labels are from
    changes: Mapping[str, Any] = field(default_factory=dict)  # to the stored set, for this request
    calibrated: bool | None = None  # None: if the set has a temperature of its own
    top_k: int | None = None
    warnings: tuple[str, ...] = ()  # of what was found when the request was read

    @property
    def names(self) -> tuple[str, ...]:
        """The labels' names; none of a stored set, which must be read first."""
        return self.labels if self.label_set is None else self.label_set.names

    @property
    def is_tree(self) -> bool:
        """Whether answers show the tree of the labels in `names`."""
        return self.label_set is not None and self.label_set.is_tree and self.label_set.mode == "single"

    @property
    def places(self) -> int:
        """At most so many places has one picture's answer; 0 of a stored set."""
        return shown(self.names, self.top_k, is_tree=self.is_tree)


def shown(labels: Sequence[str], top_k: int | None, *, is_tree: bool) -> int:
    """Labels and, of a tree, nodes that the answer for one picture has at most."""
    nodes = sum(label.count(SEPARATOR) + 1 for label in labels) if is_tree else 0
    return min(len(labels), top_k or len(labels)) + nodes


def question_of(body: ClassifyBody) -> Question:
    """What the body asks. Raises InvalidRequest for what no classifier can be made of."""
    given = {name: value for name in OF_LABEL_SET if (value := getattr(body, name)) is not None}
    if body.vocabulary is not None:
        return _of_vocabulary(vocabulary(body.vocabulary), body, given)
    if body.label_set is not None:
        if body.labels:
            raise InvalidRequest("send labels or label_set, not both", field="labels")
        changes = given | ({"templates": tuple(body.template)} if body.template else {})
        return Question(name=body.label_set, changes=changes, calibrated=body.calibrated, top_k=body.top_k)
    if "labels" not in body.model_fields_set:
        raise InvalidRequest("labels is required, or a label_set, or a vocabulary", field="labels")
    plain = all(isinstance(label, str) and SEPARATOR not in label for label in body.labels)
    if plain and not given and body.calibrated is None:
        return Question(labels=tuple(body.labels), templates=tuple(body.template), top_k=body.top_k)
    counts = Counter(json.dumps(label, sort_keys=True) for label in body.labels)
    distinct = [json.loads(label) for label in counts]
    label_set = label_set_of(validate(LabelSetBody, {"labels": distinct, "template": body.template, **given}))
    check(label_set)
    repeated = [name for name, count in zip(label_set.names, counts.values(), strict=True) if count > 1]
    warnings = tuple(warnings_about(repeated, "is given more than once; it is ranked once"))
    return Question(label_set=label_set, calibrated=body.calibrated, top_k=body.top_k, warnings=warnings)


def _of_vocabulary(words: Vocabulary, body: ClassifyBody, given: Mapping[str, Any]) -> Question:
    if body.labels or body.label_set is not None:
        raise InvalidRequest("send one of labels, label_set and vocabulary", field="vocabulary")
    templates = tuple(body.template) or words.templates
    top_k = body.top_k or TOP_K
    if not given and body.calibrated is None:
        return Question(labels=words.labels, templates=templates, vocabulary=words.name, top_k=top_k)
    label_set = replace(plain(words.labels, templates), **given)
    check(label_set)
    return Question(label_set=label_set, vocabulary=words.name, calibrated=body.calibrated, top_k=top_k)


def plain_question(
    labels: Sequence[str], template: str | None, labels_field: str, settings: Settings
) -> Question:
    """Another program's labels, all plain, checked as our own are; an error names its field."""
    at_most(settings.max_labels, labels, labels_field, "max_labels")
    no_longer_than(settings.max_label_chars, labels, labels_field, "max_label_chars")
    if not labels or not all(label.strip() and "\0" not in label for label in labels):
        message = f"{labels_field} must be labels, none of them empty, without NUL characters"
        raise InvalidRequest(message, field=labels_field)
    return Question(labels=tuple(labels), templates=() if template is None else (template,))
