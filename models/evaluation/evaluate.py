"""How good is it? Accuracy, confusions, calibration error and throughput on labelled pictures.

Pictures are embedded once a model (`embed_dataset.py`), then every way to answer is measured on the same
vectors: comparing ten templates costs one pass.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidRequest
from models.evaluation.dataset import Dataset, LabelledPicture
from models.evaluation.embed_dataset import EmbeddedSet, Progress, Unreadable, embed
from models.labels.label_set import Label, LabelSet
from models.scoring import scorer as scorers
from models.scoring.calibration import Bin, ece, reliability
from models.scoring.ranking import softmax
from models.scoring.scorer import Scorer

if TYPE_CHECKING:
    from models.classifier import Classifier

ROWS: Final = 1024
"""Pictures whose logits of all labels, and similarities to all examples, are held at once."""
KEPT_MISTAKES: Final = 24
KEPT_CONFUSIONS: Final = 20


@dataclass(frozen=True, slots=True)
class ClassScore:
    """How many of one label's pictures are answered rightly; the accuracy is a share, 0 … 1."""

    label: str
    images: int
    accuracy: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often one label's pictures are taken for another's."""

    truth: str
    predicted: str
    count: int


@dataclass(frozen=True, slots=True)
class Mistake:
    """A picture that is answered wrongly, and the probability (0 … 1) of that answer."""

    item: LabelledPicture
    predicted: str
    probability: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One configuration's figures; shares are 0 … 1."""

    model: str
    template: str
    images: int
    classes: int
    top1: float
    top5: float
    ece: float
    seconds: float
    per_class: tuple[ClassScore, ...]  # worst first
    confusions: tuple[Confusion, ...]  # most frequent first
    mistakes: tuple[Mistake, ...]  # surest first
    reliability: tuple[Bin, ...]
    unreadable: tuple[Unreadable, ...]
    warnings: tuple[str, ...]

    def row(self) -> dict[str, str | int | float]:
        """The object that `candid evaluate --json` writes for this configuration."""
        keys = ("model", "template", "images", "classes", "top1", "top5", "ece", "seconds")
        return {key: getattr(self, key) for key in keys}


MakeScorer = Callable[["Classifier"], tuple[Scorer, tuple[str, ...]]]
"""From a model to how it is to answer, and warnings."""


def evaluate(
    classifier: Classifier,
    dataset: Dataset,
    templates: Sequence[str] = (),
    *,
    domain: str | None = None,
    ways: Sequence[tuple[str, MakeScorer]] = (),
    progress: Progress | None = None,
    embedded: EmbeddedSet | None = None,
) -> tuple[Evaluation, ...]:
    """One evaluation for each of `templates`, preset names or templates, and for each of `ways`.

    With neither, the model's default template. A way is named in place of the template. `embedded` is the
    data set as the model sees it, where that is known.
    """
    embedded = embedded or embed(classifier, dataset, progress=progress)
    info, evaluations = classifier.info, []
    labels = tuple(map(Label, dataset.classes))
    words = [
        (f"{name} ({domain})" if domain else name, by_words(LabelSet(labels, (name,), domain)))
        for name in templates or (() if ways else (info.default_template,))
    ]
    for name, make_scorer in (*words, *ways):
        started = time.perf_counter()
        scorer, warnings = make_scorer(classifier)
        seconds = time.perf_counter() - started
        evaluations.append(
            measure(embedded, scorer, model=info.name, template=name, seconds=seconds, warnings=warnings)
        )
    return tuple(evaluations)


def by_words(label_set: LabelSet) -> MakeScorer:
    """By what the set says of its labels: one of them, whatever its mode."""

    def make_scorer(classifier: Classifier) -> tuple[Scorer, tuple[str, ...]]:
        matrix = classifier.label_set_matrix(label_set).result()
        return scorers.scorer(label_set, matrix, logit_scale=classifier.info.logit_scale), matrix.warnings

    return make_scorer


def measure(
    embedded: EmbeddedSet,
    scorer: Scorer,
    *,
    model: str,
    template: str,
    seconds: float = 0.0,
    warnings: Sequence[str] = (),
) -> Evaluation:
    """One way's figures on pictures that are embedded already; `seconds` are added to theirs."""
    started = time.perf_counter()
    labels = scorer.matrix.labels
    truth = truth_of(embedded.items, labels)  # (M,)
    place, predicted, confidence = _ranked(embedded.vectors, truth, scorer)
    correct = place == 0
    wrong = np.flatnonzero(~correct)
    pairs = Counter((int(truth[i]), int(predicted[i])) for i in wrong)
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")][:KEPT_MISTAKES]
    return Evaluation(
        model=model,
        template=template,
        images=len(truth),
        classes=len(labels),
        top1=float(correct.mean()),
        top5=float((place < 5).mean()),
        ece=ece(confidence, correct),
        seconds=embedded.seconds + seconds + time.perf_counter() - started,
        per_class=_per_class(truth, correct, labels),
        confusions=tuple(
            Confusion(labels[a], labels[b], n) for (a, b), n in pairs.most_common(KEPT_CONFUSIONS)
        ),
        mistakes=tuple(
            Mistake(embedded.items[i], labels[int(predicted[i])], float(confidence[i])) for i in surest
        ),
        reliability=reliability(confidence, correct),
        unreadable=embedded.unreadable,
        warnings=tuple(warnings),
    )


def truth_of(items: Sequence[LabelledPicture], labels: Sequence[str]) -> NDArray[np.intp]:
    """The right label's index of each picture (M,): what `calibration.fit` needs too.

    Raises InvalidRequest for a picture whose label is none of `labels`.
    """
    index = {label: i for i, label in enumerate(labels)}
    missing = sorted({item.label for item in items} - index.keys())
    if missing:
        raise InvalidRequest(f"pictures have labels that are not ranked: {missing[:5]}", field="labels")
    return np.array([index[item.label] for item in items], dtype=np.intp)


def _ranked(
    vectors: NDArray[np.float32], truth: NDArray[np.intp], scorer: Scorer
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Place of the right label (0 is first), the first label, and its probability; each (M,)."""
    place, predicted, confidence = [], [], []
    for start in range(0, len(truth), ROWS):
        logits = scorers.logits(scorer, vectors[start : start + ROWS])  # (R, N)
        right = truth[start : start + ROWS, None]  # (R, 1)
        of_right = np.take_along_axis(logits, right, axis=1)  # (R, 1)
        before = np.arange(logits.shape[1]) < right  # equal ones rank in the order of the labels
        place.append(((logits > of_right) | ((logits == of_right) & before)).sum(axis=1))
        predicted.append(logits.argmax(axis=1))
        confidence.append(softmax(logits / scorer.fitted.temperature).max(axis=1))
    return np.concatenate(place), np.concatenate(predicted), np.concatenate(confidence)


def _per_class(
    truth: NDArray[np.intp], correct: NDArray[np.bool_], labels: Sequence[str]
) -> tuple[ClassScore, ...]:
    count = np.bincount(truth, minlength=len(labels))
    right = np.bincount(truth, weights=correct, minlength=len(labels))
    scores = [
        ClassScore(label, int(n), float(r / n)) for label, n, r in zip(labels, count, right, strict=True) if n
    ]
    return tuple(sorted(scores, key=lambda score: (score.accuracy, score.label)))
