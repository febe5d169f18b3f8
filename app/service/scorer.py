"""What scores the pictures of a request: the model's scorer, and what its answers say of where it is from."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.requests.question import shown
from models.errors import DeadlineExceeded
from models.scoring import fitting
from models.scoring import scorer as scoring
from models.scoring.fitting import Fits
from models.scoring.scorer import Answer, Scorer

Vector: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LabelSetScorer:
    """One label set as one model scores it; plain labels as `Classifier.rank` does, to the last bit."""

    scorer: Scorer
    is_plain: bool = False  # answers of plain labels name no mode
    name: str | None = None  # of a stored set
    vocabulary: str | None = None  # whose words the labels are
    version: int | None = None
    fitted_of: str | None = None  # "label_set", "model", "catalogue"; None: not calibrated
    warnings: tuple[str, ...] = ()
    nbytes: int = 0  # of a stored set's, as `held_bytes` counts them

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the scorer's columns."""
        return self.scorer.matrix.labels

    def answer(self, vector: Vector, top_k: int | None = None) -> Answer:
        """For one picture's vector (D,)."""
        return scoring.answer(self.scorer, vector, top_k=top_k)

    def answers(self, vectors: Sequence[Vector], deadline: float) -> Iterator[Answer]:
        """The same of several, one by one, or DeadlineExceeded before the one for which no time is left."""
        for vector in vectors:
            _check_time(deadline)
            yield self.answer(vector)

    def fit(self, vectors: Vector, truth: NDArray[np.intp], deadline: float) -> Fits:
        """What pictures' vectors (M, D) and right labels (M,) say, or DeadlineExceeded; see `fitting.fit`."""
        return fitting.fit(self.scorer, vectors, truth, check=partial(_check_time, deadline))

    @property
    def is_tree(self) -> bool:
        """Whether answers show the tree of the labels."""
        return self.scorer.is_tree and self.scorer.mode == "single"

    def places(self, top_k: int | None) -> int:
        """Labels and nodes of a tree that one answer has at most."""
        return shown(self.labels, top_k, is_tree=self.is_tree)

    def work(self, top_k: int | None) -> int:
        """One answer's work, in labels shown: a row that is only multiplied costs an eighth."""
        compared = len(self.labels) * (2 if self.scorer.taught else 1)
        return self.places(top_k) + compared // 8


def held_bytes(scorer: LabelSetScorer) -> int:
    """Bytes that it holds for itself; the bank of nouns is every set's."""
    own = scorer.scorer
    arrays: list[NDArray[Any] | None] = [own.matrix.vectors, own.thresholds, own.rivals]
    if own.taught:
        arrays += [own.taught.weights, own.taught.offsets]
    tuples = (scorer.labels, own.matrix.warnings, scorer.warnings)
    texts = (text for texts in tuples for text in texts)
    return sum(x.nbytes for x in arrays if x is not None) + sum(map(sys.getsizeof, (*texts, *tuples)))


def _check_time(deadline: float) -> None:
    if time.monotonic() >= deadline:  # nobody waits any more
        raise DeadlineExceeded("the request's time ran out while it was scored")
