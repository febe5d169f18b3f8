"""Labels of other programs' requests: checked as our own are, and made ready to rank with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.requests.body import offload_many
from app.requests.limits import at_most, no_longer_than
from app.settings import Settings
from models.errors import InvalidRequest

if TYPE_CHECKING:
    from models.classifier import Classifier
    from models.labels.label_matrix import LabelMatrix


def check_labels(labels: Sequence[str], field: str, settings: Settings) -> None:
    """Raise InvalidRequest, naming the other program's field, where /v1/classify would."""
    at_most(settings.max_labels, labels, field, "max_labels")
    no_longer_than(settings.max_label_chars, labels, field, "max_label_chars")
    if not labels or not all(label.strip() and "\0" not in label for label in labels):
        raise InvalidRequest(
            f"{field} must be labels, none of them empty, without NUL characters", field=field
        )


async def label_matrix(
    classifier: Classifier, labels: Sequence[str], template: str | None, deadline: float
) -> LabelMatrix:
    """The zero-shot classifier of `labels`, with the model's own template when none is given."""
    templates = () if template is None else (template,)
    future = await offload_many(
        len(labels), classifier.label_matrix, labels, templates=templates, deadline=deadline
    )
    return await asyncio.wrap_future(future)
