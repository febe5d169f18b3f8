"""A picture's vector to an answer, with everything that a label set may ask for.

    words ─ cosine × logit scale ─┐
                                  ├─ logits ─ / temperature ─ softmax ─ a ranking, and the tree's levels
    examples ─ Gaussians ─────────┘      └─ mode "multi": a probability for each label by itself
    nouns ─ NegLabel ─ does it fit any of the labels?

Of plain labels without any of that, `Classifier.rank` is the answer, to the last bit. Rejection goes by the
words alone: what examples add says which label, and is positive for any picture.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.labels import hierarchy
from models.labels.label_matrix import LabelMatrix
from models.labels.label_set import LabelSet, Mode
from models.scoring import few_shot, multi_label, out_of_set
from models.scoring.few_shot import Taught
from models.scoring.multi_label import Curve
from models.scoring.ranking import best, cosines, softmax

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What calibration found: by default nothing."""

    temperature: float = 1.0
    curve: Curve = multi_label.DEFAULT


@dataclass(frozen=True, slots=True)
class Scorer:
    """All that answers for one label set and one model; made once, used for every picture."""

    matrix: LabelMatrix
    logit_scale: float
    logit_bias: float | None  # SigLIP's; None: trained with a softmax
    fitted: Fitted
    taught: Taught | None  # by examples of some of the labels
    mode: Mode
    thresholds: NDArray[np.float64]  # (N,), of mode "multi"
    bank: Vectors | None  # (K, D): nouns that say how a picture looks to any words
    rivals: NDArray[np.intp] | None  # (K',), which of them have nothing to do with the labels; to reject by
    reject_threshold: float
    is_tree: bool


@dataclass(frozen=True, slots=True)
class Place:
    """One label's place in the ranking."""

    label: str
    similarity: float  # cosine to the label's words, -1 … 1
    probability: float  # 0 … 1
    holds: bool | None  # mode "multi": at or above its threshold


@dataclass(frozen=True, slots=True)
class Rejection:
    """Whether the picture fits none of the labels."""

    score: float  # share of probability that the labels keep against unrelated nouns, 0 … 1
    threshold: float

    @property
    def rejected(self) -> bool:
        return self.score < self.threshold


@dataclass(frozen=True, slots=True)
class Answer:
    """One picture's answer."""

    ranking: tuple[Place, ...]
    rejection: Rejection | None = None
    tree: hierarchy.TreeAnswer | None = None


def needs_bank(label_set: LabelSet, *, kind: str) -> bool:
    """Whether a model of this kind must know the nouns to answer for the set."""
    return label_set.reject or (label_set.mode == "multi" and kind == "softmax")


def idle(label_set: LabelSet, given: Collection[str] | None = None) -> tuple[str, ...]:
    """Warnings for thresholds that were given in vain: among the fields `given`, or in the set itself."""
    if given is None:
        given = [name for name in ("threshold", "reject_threshold") if getattr(label_set, name) is not None]
        given += ["threshold" for label in label_set.labels if label.threshold is not None]
    warnings = []
    if label_set.mode == "single" and "threshold" in given:
        warnings.append("threshold is for mode multi: it has no effect here")
    if not label_set.reject and "reject_threshold" in given:
        warnings.append("reject_threshold is for reject=true: it has no effect here")
    return tuple(warnings)


def scorer(
    label_set: LabelSet,
    matrix: LabelMatrix,
    *,
    logit_scale: float,
    logit_bias: float | None = None,
    bank: Vectors | None = None,
    rivals: NDArray[np.intp] | None = None,
    taught: Taught | None = None,
    fitted: Fitted | None = None,
) -> Scorer:
    """The parts put together; `bank` where `needs_bank` says so, `rivals` of it where they are known."""
    of_set = multi_label.THRESHOLD if label_set.threshold is None else label_set.threshold
    of_labels = {label.name: label.threshold for label in label_set.labels if label.threshold is not None}
    if label_set.reject and bank is not None and rivals is None:
        rivals = out_of_set.unrelated(matrix.vectors, bank)
    threshold = label_set.reject_threshold
    return Scorer(
        matrix=matrix,
        logit_scale=logit_scale,
        logit_bias=logit_bias,
        fitted=fitted or Fitted(),
        taught=taught,
        mode=label_set.mode,
        thresholds=np.array([of_labels.get(name, of_set) for name in matrix.labels], dtype=np.float64),
        bank=bank,
        rivals=rivals,
        reject_threshold=out_of_set.THRESHOLD if threshold is None else threshold,
        is_tree=label_set.is_tree,
    )


def teach(vectors: Vectors, owners: Sequence[str], matrix: LabelMatrix, *, logit_scale: float) -> Taught:
    """What examples (M, D), M > 0, of the labels `owners` add: seconds for thousands, so worth keeping."""
    column = {label: i for i, label in enumerate(matrix.labels)}
    labels = np.array([column[owner] for owner in owners], dtype=np.intp)
    return few_shot.teach(vectors, labels, matrix.vectors, logit_scale=logit_scale)


def logits(scorer: Scorer, vectors: Vectors) -> NDArray[np.float64]:
    """Of mode "single", to be divided by the fitted temperature: (D,) -> (N,) or (B, D) -> (B, N)."""
    return _tempered(scorer, _logits(scorer, vectors, cosines(vectors, scorer.matrix.vectors)))


def above_nouns(scorer: Scorer, vectors: Vectors) -> NDArray[np.float64]:
    """What the curve of mode "multi" makes probabilities of; needs the bank: (B, D) -> (B, N)."""
    assert scorer.bank is not None
    raw = _logits(scorer, vectors, cosines(vectors, scorer.matrix.vectors))  # (B, N)
    return multi_label.normalised(raw / scorer.logit_scale, cosines(vectors, scorer.bank))


def _logits(scorer: Scorer, vectors: Vectors, similarities: Vectors) -> NDArray[np.float64]:
    """Of words and examples together: (N,) or (B, N)."""
    words = scorer.logit_scale * similarities.astype(np.float64)
    return words if scorer.taught is None else words + few_shot.added(scorer.taught, vectors)


def _tempered(scorer: Scorer, raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """As sure as the words' logits are by themselves."""
    return raw if scorer.taught is None else raw / scorer.taught.temperature


def answer(scorer: Scorer, vector: Vectors, *, top_k: int | None = None) -> Answer:
    """The answer for one picture's vector (D,): the most probable label first."""
    labels = scorer.matrix.labels
    # Each matrix is read once, which is what takes the time.
    similarities = cosines(vector, scorer.matrix.vectors)  # (N,)
    to_nouns = None if scorer.bank is None else cosines(vector, scorer.bank)  # (K,)
    raw = _logits(scorer, vector, similarities)  # (N,)
    probabilities = _probabilities(scorer, raw, to_nouns)  # (N,)
    several = scorer.mode == "multi"
    ranking = tuple(
        Place(
            labels[i],
            float(similarities[i]),
            float(probabilities[i]),
            bool(probabilities[i] >= scorer.thresholds[i]) if several else None,
        )
        for i in best(raw, top_k)  # the order of the probabilities, also where they are too small to tell
    )
    tree = None
    if scorer.is_tree and not several:
        tree = hierarchy.roll_up(dict(zip(labels, probabilities.tolist(), strict=True)))
    rejection = None
    if scorer.rivals is not None and to_nouns is not None:
        score = out_of_set.score(similarities, to_nouns[scorer.rivals], logit_scale=scorer.logit_scale)
        rejection = Rejection(float(score), scorer.reject_threshold)
    return Answer(ranking, rejection, tree)


def _probabilities(scorer: Scorer, raw: NDArray[np.float64], to_nouns: Vectors | None) -> NDArray[np.float64]:
    """Of the labels, from their logits (N,) and the picture's similarities to the nouns (K,): (N,)."""
    if scorer.mode == "single":
        return softmax(_tempered(scorer, raw) / scorer.fitted.temperature)
    if scorer.logit_bias is not None:
        return multi_label.sigmoid(
            raw / scorer.logit_scale, logit_scale=scorer.logit_scale, logit_bias=scorer.logit_bias
        )
    assert to_nouns is not None, "mode multi of a softmax model needs the bank"
    return multi_label.against_absence(raw / scorer.logit_scale, to_nouns, scorer.fitted.curve)
