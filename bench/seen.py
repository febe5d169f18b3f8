"""A data set as a model sees it: embedded once, measured in many ways."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.classifier import Classifier
from models.evaluation.dataset import Dataset, find
from models.evaluation.embed_dataset import embed
from models.evaluation.evaluate import truth_of

Floats = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One data set as the model sees it."""

    data: Dataset
    labels: tuple[str, ...]
    vectors: Floats  # (M, D)
    truth: NDArray[np.intp]  # (M,)
    matrix: Floats  # (N, D)


def see(classifier: Classifier, source: Path) -> Seen:
    data = find(source)
    embedded = embed(classifier, data)
    matrix = classifier.label_matrix(data.classes).result()
    truth = truth_of(embedded.items, matrix.labels)
    return Seen(data, matrix.labels, embedded.vectors, truth, matrix.vectors)
