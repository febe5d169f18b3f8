"""What labels become: a zero-shot classifier, one unit vector a label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LabelMatrix:
    """A zero-shot classifier: one unit row a label, ready to rank with."""

    labels: tuple[str, ...]
    vectors: NDArray[np.float32]  # (N, D), unit rows
    warnings: tuple[str, ...] = ()
