"""What labels become: a zero-shot classifier, one unit vector a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_NAMED: Final = 20
"""Labels that a warning is about, named one by one."""


@dataclass(frozen=True, slots=True)
class LabelMatrix:
    """A zero-shot classifier: one unit row a label, ready to rank with."""

    labels: tuple[str, ...]
    vectors: NDArray[np.float32]  # (N, D), unit rows
    warnings: tuple[str, ...] = ()


def warnings_about(labels: Sequence[str], what: str) -> list[str]:
    """One warning a label, up to a number; the rest in a last one."""
    warnings = [f"label {label[:80]!r} {what}" for label in labels[:MAX_NAMED]]
    if len(labels) > MAX_NAMED:
        warnings.append(f"and {len(labels) - MAX_NAMED} more labels: each {what}")
    return warnings
