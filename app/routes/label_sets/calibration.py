"""Honest probabilities for a label set, from labelled pictures, which are not kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray

from app.http.buffer import reserve
from app.http.errors import detail_of
from app.requests.labelled import column_of, read_labelled
from app.requests.pictures import Images
from app.requests.question import Question
from app.requests.vectors import vectors_of
from app.routes.dependencies import KeyDep, RoomDep, ServiceDep
from app.routes.label_sets.etags import condition_of, etag
from app.routes.label_sets.sets import CHANGED, Name
from app.schemas import openapi
from app.schemas.label_sets import AddedExample, CalibrationAnswer, LabelledBody
from app.schemas.responses import ErrorDetail
from app.service import fitted, transactions
from app.service.embedding import embed_each
from app.service.scorer import LabelSetScorer
from app.storage import calibrations
from app.storage.database import Condition
from models.errors import InvalidRequest
from models.scoring import calibration

if TYPE_CHECKING:
    from models.classifier import Classifier

MAX_LOGITS: Final = 5_000_000
"""Pictures × labels of one fit: 5,000 pictures of 1,000 labels take some seconds and 0.3 GB."""
LOGIT_BYTES: Final = 60
"""What a fit takes for each of them."""
router = APIRouter(tags=["Label sets"], prefix="/v1/label-sets", dependencies=[KeyDep])

# As many as a fit needs; a real one has different pictures of every label.
EXAMPLE: Final = {
    "images": openapi.PICTURES * calibration.MIN_IMAGES,
    "labels": ["cat"] * calibration.MIN_IMAGES,
}


@router.post(
    "/{name}/calibration",
    summary="Calibrate a label set",
    response_model=CalibrationAnswer,
    dependencies=[RoomDep],
    response_model_exclude_unset=True,
    openapi_extra=openapi.form_or_json(LabelledBody, EXAMPLE),
    responses=CHANGED,
)
async def calibrate(
    request: Request, service: ServiceDep, name: Name, response: Response
) -> CalibrationAnswer:
    """Pictures (or embeddings) with the right label of each, in the same order: 20 or more.

    From then on the set's answers go by the temperature, those of mode multi by the curve, and say so. The
    ranking stays as it is.
    """
    body, images = await read_labelled(request, service.settings)
    classifier = service.classifier(body.model)
    given = condition_of(request)
    question = Question(name=name, changes=fitted.CHANGES, calibrated=False)
    async with service.admission.slot(request) as slot:
        scorer = await service.scorers.scorer_for(classifier, question, slot.deadline)
        given.check(name, scorer.version)
        truth = _truth(body.labels, scorer)
        reserve(request, LOGIT_BYTES * len(truth) * len(scorer.labels))
        vectors, readable, unreadable = await _vectors(classifier, body, images, slot.deadline)
        fits = await asyncio.to_thread(scorer.fit, vectors, truth[readable], slot.deadline)
        kept = fitted.kept(classifier.info, fits)
        # Not for a set that has changed while its pictures were looked at.
        assert scorer.version is not None
        unchanged = Condition(versions=frozenset({scorer.version}))
        version = await transactions.write(service.db, calibrations.save, name, kept, condition=unchanged)
    response.headers["ETag"] = etag(version)
    return CalibrationAnswer(
        label_set=name,
        version=version,
        model=classifier.info.name,
        temperature=kept.temperature,
        slope=kept.slope,
        offset=kept.offset,
        images=kept.images,
        ece_before=kept.ece_before,
        ece_after=kept.ece_after,
        unreadable=unreadable,
    )


def _truth(labels: Sequence[str], scorer: LabelSetScorer) -> NDArray[np.intp]:
    """The scorer's column of each picture's right label, (M,)."""
    if len(labels) * len(scorer.labels) > MAX_LOGITS:
        size = f"{len(labels)} pictures × {len(scorer.labels)} labels of the set"
        raise InvalidRequest(f"labels: {size}; a fit takes at most {MAX_LOGITS}", field="labels")
    return np.array(column_of(labels, scorer.labels), dtype=np.intp)


async def _vectors(
    classifier: Classifier, body: LabelledBody, images: Images, deadline: float
) -> tuple[NDArray[np.float32], list[int], list[AddedExample]]:
    """Vectors (M, D), which of the pictures they are of, and the others with the reason."""
    dim = classifier.info.embed_dim
    if body.embeddings:
        given = await asyncio.to_thread(vectors_of, body.embeddings, dim)
        return np.stack(given), list(range(len(given))), []
    rows: dict[int, NDArray[np.float32]] = {}
    unreadable: dict[int, AddedExample] = {}
    async with aclosing(embed_each(classifier, images, deadline)) as outcomes:
        async for index, outcome in outcomes:
            if isinstance(outcome, Exception):
                error = ErrorDetail.model_validate(detail_of(outcome))
                unreadable[index] = AddedExample(name=images[index].name, error=error)
            else:
                rows[index] = outcome.vector
    readable = sorted(rows)
    vectors = np.stack([rows[i] for i in readable]) if rows else np.empty((0, dim), dtype=np.float32)
    return vectors, readable, [unreadable[i] for i in sorted(unreadable)]
