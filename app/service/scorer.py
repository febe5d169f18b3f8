"""What scores the pictures of a request: the model's scorer, and what its answers say of where it is from."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.requests.question import shown
from models.scoring import scorer as scoring
from models.scoring.scorer import Answer, Scorer


@dataclass(frozen=True, slots=True)
class LabelSetScorer:
    """One label set as one model scores it; plain labels as `Classifier.rank` does, to the last bit."""

    scorer: Scorer
    is_plain: bool = False  # answers of plain labels name no mode
    name: str | None = None  # of a stored set
    version: int | None = None
    temperature_of: str | None = None  # "label_set", "model", "catalogue"; None: not calibrated
    warnings: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the scorer's columns."""
        return self.scorer.matrix.labels

    def answer(self, vector: NDArray[np.float32], top_k: int | None = None) -> Answer:
        """For one picture's vector (D,)."""
        return scoring.answer(self.scorer, vector, top_k=top_k)

    def places(self, top_k: int | None) -> int:
        """Labels and nodes of a tree that one answer has at most."""
        is_tree = self.scorer.is_tree and self.scorer.mode == "single"
        return shown(self.labels, top_k, is_tree=is_tree)

    def work(self, top_k: int | None) -> int:
        """One answer's work, in labels shown: a label or example that is only multiplied costs an eighth."""
        examples = self.scorer.examples
        compared = len(self.labels) + (len(examples.keys) if examples else 0)
        return self.places(top_k) + compared // 8

    @property
    def nbytes(self) -> int:
        """Bytes that it holds for itself; the bank of nouns is every set's."""
        own = self.scorer
        arrays: list[NDArray[Any] | None] = [own.matrix.vectors, own.thresholds, own.rivals]
        if own.examples:
            arrays += [own.examples.keys, own.examples.owners]
        texts = (*self.labels, *own.matrix.warnings, *self.warnings)
        tuples = (self.labels, own.matrix.warnings, self.warnings)
        return sum(x.nbytes for x in arrays if x is not None) + sum(map(sys.getsizeof, (*texts, *tuples)))
