"""POST /v1/classify: pictures and labels in, rankings out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from numpy.typing import NDArray

from app.http.errors import detail_of
from app.requests.body import offload_many
from app.requests.pictures import ClassifyRequest, read_classify
from app.requests.vectors import vectors_of
from app.routes import ndjson
from app.routes.dependencies import KeyDep, RoomDep, Service, ServiceDep
from app.schemas import openapi
from app.schemas.requests import ClassifyBody
from app.schemas.responses import Classification
from app.service.answering import Way, way_of
from app.service.embedding import Outcome, embed_all

if TYPE_CHECKING:
    from models.classifier import Classifier

router = APIRouter(tags=["Classify"])

EXAMPLE: Final = {
    "labels": openapi.LABELS,
    "template": ["a photo of a {}."],
    "top_k": 3,
    "images": openapi.PICTURES,
}


@router.post(
    "/v1/classify",
    summary="Rank labels for pictures",
    response_model=Classification,
    responses=ndjson.RESPONSES,
    dependencies=[KeyDep, RoomDep],
    openapi_extra=openapi.three_ways(ClassifyBody, EXAMPLE),
)
async def classify(request: Request, service: ServiceDep) -> Response:
    """Any labels, best first, each with its cosine similarity and its probability among the labels.

    Send JSON, a form with files, or the picture itself as the body with the fields in the query:
    `curl --data-binary @cat.jpg -H 'Content-Type: image/jpeg' '…/v1/classify?labels=cat&labels=dog'`.
    Of several pictures, an unreadable one gets an `error` in place of its ranking.

    A stored `label_set` stands in for `labels`. `mode=multi` gives each label a probability of its own,
    `reject=true` says whether the picture fits none, and labels such as `animal > dog` are a tree.

    `Accept: application/x-ndjson` gets one JSON line a picture, each as soon as it is ready.
    """
    started = time.perf_counter()
    asked = await read_classify(request, service.settings)
    if ndjson.wanted(request):
        classifier = service.classifier(asked.model)
        build = partial(way_of, service.answers, classifier, asked)
        return ndjson.Lines(request, service, classifier, asked, build, started)
    answer = await answer_to(request, service, asked)
    answer["timing_ms"]["total"] = round((time.perf_counter() - started) * 1e3, 2)
    size = sum(len(result.get("ranking", ())) for result in answer["results"])
    return await offload_many(size, JSONResponse, answer)


async def answer_to(request: Request, service: Service, asked: ClassifyRequest) -> dict[str, Any]:
    """The answer as JSON will have it."""
    classifier = service.classifier(asked.model)
    vectors = vectors_of(asked.embeddings, classifier.info.embed_dim)
    async with service.door.slot(request) as slot:
        # Both start now: the encoder takes pictures and prompts in turn.
        building = asyncio.create_task(way_of(service.answers, classifier, asked, slot.deadline))
        try:
            outcomes = await embed_all(classifier, asked.pictures, slot.deadline)
            way = await building
        finally:
            building.cancel()
            await asyncio.wait([building])  # so that no error goes unseen
        size = way.labels * max(len(outcomes), len(vectors))
        return await offload_many(size, _answer, classifier, asked, outcomes, vectors, way)


def _answer(
    classifier: Classifier,
    asked: ClassifyRequest,
    outcomes: Sequence[Outcome],
    vectors: Sequence[NDArray[np.float32]],
    way: Way,
) -> dict[str, Any]:
    results: list[dict[str, Any]] = []
    slowest = {"decode": 0.0, "queue": 0.0, "encode": 0.0}
    for picture, outcome in zip(asked.pictures, outcomes, strict=True):
        if isinstance(outcome, Exception):
            results.append({"name": picture.name, "error": detail_of(outcome)})
            continue
        for step in slowest:
            slowest[step] = max(slowest[step], round(getattr(outcome, f"{step}_ms"), 2))
        size = {"name": picture.name, "width": outcome.width, "height": outcome.height}
        results.append(size | way.answer(outcome.vector))
    for vector in vectors:
        results.append({"name": None} | way.answer(vector))
    return {
        "model": classifier.info.name,
        **way.told,
        "results": results,
        "warnings": list(way.warnings),
        "timing_ms": slowest,
    }
