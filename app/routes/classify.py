"""POST /v1/classify: pictures and labels in, rankings out."""

from __future__ import annotations

import time
from functools import partial
from typing import Final

from fastapi import APIRouter, Request, Response

from app.http.buffer import reserve
from app.requests.classify import read_classify
from app.routes import ndjson
from app.routes.dependencies import KeyDep, RoomDep, ServiceDep
from app.schemas import openapi
from app.schemas.requests import ClassifyBody
from app.schemas.responses import Classification
from app.service.answering import Answering

router = APIRouter(tags=["Classify"])

EXAMPLE: Final = {
    "labels": openapi.LABELS,
    "template": ["a photo of a {}."],
    "top_k": 3,
    "explain": True,
    "explain_top_k": 1,
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

    `explain=true` says of each picture where its best labels are, `explain=overlay` draws it.

    A stored `label_set` stands in for `labels`. `mode=multi` gives each label a probability of its own,
    `reject=true` says whether the picture fits none, and labels such as `animal > dog` are a tree.

    `Accept: application/x-ndjson` gets one JSON line a picture, each as soon as it is ready.
    """
    started = time.perf_counter()
    asked = await read_classify(request, service.settings)
    room = partial(reserve, request)
    answering = Answering(service.scorers, service.classifier(asked.model), asked, started, room)
    if ndjson.wanted(request):
        return ndjson.Lines(request, service.admission, answering)
    async with service.admission.slot(request) as slot:
        return Response(await answering.document(slot.deadline), media_type="application/json")
