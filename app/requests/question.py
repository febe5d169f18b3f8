"""What a request asks of its labels, whoever asks: the HTTP API or the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.labels.label_set import LabelSet


@dataclass(frozen=True, slots=True)
class Question:
    """What a request asks for beyond plain labels."""

    name: str | None = None  # of a stored label set
    label_set: LabelSet | None = None  # or one that came with the request
    changes: Mapping[str, Any] = field(default_factory=dict)  # to the stored one, for this request
    calibrated: bool | None = None  # None: if the set has a temperature of its own
    warnings: tuple[str, ...] = ()  # of what was found when the request was read
