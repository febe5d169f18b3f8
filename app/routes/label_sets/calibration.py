"""Honest probabilities for a label set: one temperature, fitted on labelled pictures, which are not kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from app.http.errors import detail_of
from app.requests.pictures import CalibrationRequest, read_calibration
from app.requests.question import Question
from app.requests.vectors import vectors_of
from app.routes.dependencies import KeyDep, RoomDep, ServiceDep
from app.routes.label_sets.etags import condition_of, etag
from app.routes.label_sets.sets import CHANGED, Name
from app.schemas import openapi
from app.schemas.label_sets import CalibrationAnswer, CalibrationBody
from app.service.embedding import embed_each
from app.service.label_set_scorers import Prepared
from app.storage import label_sets
from app.storage.database import Condition
from models.errors import InvalidRequest
from models.scoring import calibration, scorer

if TYPE_CHECKING:
    from models.classifier import Classifier

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
    openapi_extra=openapi.form_or_json(CalibrationBody, EXAMPLE),
    responses=CHANGED,
)
async def calibrate(request: Request, service: ServiceDep, name: Name) -> Response:
    """Pictures (or embeddings) with the right label of each, in the same order: 20 or more.

    From then on the set's answers are divided by the temperature and say so. The ranking stays as it is.
    """
    asked = await read_calibration(request, service.settings)
    classifier = service.classifier(asked.model)
    given = condition_of(request)
    async with service.door.slot(request) as slot:
        prepared = await service.answers.prepare(
            classifier,
            Question(name=name, changes={"mode": "single", "reject": False}, calibrated=False),
            slot.deadline,
        )
        given.check(name, prepared.version)
        truth = _truth(asked, prepared)
        vectors, readable, unreadable = await _vectors(classifier, asked, slot.deadline)
        fitted = await asyncio.to_thread(_fit, prepared, vectors, truth[readable])
    kept = label_sets.Calibration(
        classifier.info.fingerprint,
        fitted.temperature,
        fitted.images,
        fitted.ece_before,
        fitted.ece_after,
        0,
    )
    assert prepared.version is not None
    # Not for a set that has changed while its pictures were looked at.
    unchanged = Condition(versions=frozenset({prepared.version}))
    version = await asyncio.to_thread(
        label_sets.save_calibration, service.answers.db, name, kept, condition=unchanged
    )
    answer = {
        "label_set": name,
        "version": version,
        "model": classifier.info.name,
        "temperature": fitted.temperature,
        "images": fitted.images,
        "ece_before": fitted.ece_before,
        "ece_after": fitted.ece_after,
        "unreadable": unreadable,
    }
    return JSONResponse(answer, headers={"ETag": etag(version)})


def _truth(asked: CalibrationRequest, prepared: Prepared) -> np.ndarray[Any, np.dtype[np.intp]]:
    index = {label: i for i, label in enumerate(prepared.label_set.names)}
    for position, label in enumerate(asked.labels):
        if label not in index:
            field = f"labels[{position}]"
            raise InvalidRequest(f"{field}: the set has no label {label[:80]!r}", field=field)
    return np.array([index[label] for label in asked.labels], dtype=np.intp)


async def _vectors(
    classifier: Classifier, asked: CalibrationRequest, deadline: float
) -> tuple[np.ndarray[Any, np.dtype[np.float32]], list[int], list[dict[str, Any]]]:
    """Vectors (M, D), which of the pictures they are of, and the others with the reason."""
    dim = classifier.info.embed_dim
    if asked.embeddings:
        given = await asyncio.to_thread(vectors_of, asked.embeddings, dim)
        return np.stack(given), list(range(len(given))), []
    rows, readable, unreadable = [], [], []
    position = 0
    async for outcome in embed_each(classifier, asked.pictures, deadline):
        if isinstance(outcome, Exception):
            unreadable.append({"name": asked.pictures[position].name, "error": detail_of(outcome)})
        else:
            rows.append(outcome.vector)
            readable.append(position)
        position += 1
    vectors = np.stack(rows) if rows else np.empty((0, dim), dtype=np.float32)
    return vectors, readable, unreadable


def _fit(
    prepared: Prepared,
    vectors: np.ndarray[Any, np.dtype[np.float32]],
    truth: np.ndarray[Any, np.dtype[np.intp]],
) -> calibration.Calibration:
    if len(vectors) < calibration.MIN_IMAGES:
        raise InvalidRequest(
            f"{len(vectors)} readable pictures; a fit needs {calibration.MIN_IMAGES}", field="images"
        )
    return calibration.fit(scorer.logits(prepared.scorer, vectors), truth)
