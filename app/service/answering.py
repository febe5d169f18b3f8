"""What makes an answer of a picture's vector, for one request and whichever way it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from app.requests.body import offload_many
from app.requests.pictures import ClassifyRequest
from app.service.label_set_scorers import Answers
from app.service.rendering import ranked, shown, told_of

if TYPE_CHECKING:
    from models.classifier import Classifier


@dataclass(frozen=True, slots=True)
class Way:
    """How a picture's vector becomes its answer, and what is told once for all of them."""

    labels: int
    answer: Callable[[Any], dict[str, Any]]
    told: dict[str, Any]
    warnings: tuple[str, ...]


async def way_of(answers: Answers, classifier: Classifier, asked: ClassifyRequest, deadline: float) -> Way:
    if asked.special is not None:
        prepared = await answers.prepare(classifier, asked.special, deadline)
        size = len(prepared.label_set.labels)
        return Way(size, partial(shown, prepared, asked.top_k), told_of(prepared), prepared.warnings)
    future = await offload_many(
        len(asked.labels), classifier.label_matrix, asked.labels, templates=asked.templates, deadline=deadline
    )
    matrix = await asyncio.wrap_future(future)

    def plain(vector: Any) -> dict[str, Any]:
        return {"ranking": [ranked(each) for each in classifier.rank(vector, matrix, top_k=asked.top_k)]}

    return Way(len(matrix.labels), plain, {"calibrated": False}, matrix.warnings)
