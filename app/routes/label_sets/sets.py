"""/v1/label-sets: classifiers that are kept under a name. Each change is a new version, told as the ETag."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse

from app.http.buffer import reserve
from app.requests.body import offload, read_json, validate
from app.requests.label_sets import document_of
from app.requests.limits import Limits
from app.routes.dependencies import KeyDep, RoomDep, Service, ServiceDep
from app.routes.label_sets.etags import condition_of, etag, is_known
from app.schemas import openapi
from app.schemas.label_sets import (
    LabelSetBody,
    LabelSetList,
    LabelSetPatch,
    LabelSetSummary,
    StoredLabelSet,
)
from app.schemas.responses import ErrorEnvelope
from app.service import transactions
from app.service.embedded_labels import vectors_key
from app.settings import Settings
from app.storage import label_sets
from app.storage.label_sets import Document, Stored

router = APIRouter(tags=["Label sets"], prefix="/v1/label-sets", dependencies=[KeyDep])

Name = Annotated[
    str,
    Path(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
        description="a-z, 0-9, _ and -; 64 at most.",
        openapi_examples={"pets": {"value": "pets"}},
    ),
]
EXAMPLE: Final = {
    "labels": [
        {"label": "cat", "aliases": ["kitten"], "descriptions": ["with whiskers and pointed ears"]},
        "dog",
        "coffee cup",
    ],
    "template": ["photo"],
    "reject": True,
}
MADE_OF: Final = 4
"""A set's document and its answer, as JSON and as Python's objects, take so many times its bytes."""
CHANGED: Final[dict[int | str, dict[str, Any]]] = {
    412: {"model": ErrorEnvelope, "description": "The set is not what If-Match says."}
}


@router.get("", summary="List the label sets", dependencies=[RoomDep])
async def list_label_sets(request: Request, service: ServiceDep) -> LabelSetList:
    """By name."""
    async with service.admission.slot(request):
        rows = await transactions.read(service.db, label_sets.summaries)
    return LabelSetList(data=[LabelSetSummary(**asdict(row)) for row in rows])


@router.get("/{name}", summary="One label set", response_model=StoredLabelSet, dependencies=[RoomDep])
async def get_label_set(request: Request, service: ServiceDep, name: Name) -> Response:
    """With how many examples each label has, and what calibration found."""
    async with service.admission.slot(request):
        await _make_room(request, service, name)
        stored = await transactions.read(service.db, label_sets.get, name)
        if is_known(request, stored.version):
            return Response(status_code=304, headers={"ETag": etag(stored.version)})
        return await _answer(service, stored)


@router.put(
    "/{name}",
    summary="Store a label set",
    response_model=StoredLabelSet,
    dependencies=[RoomDep],
    openapi_extra=openapi.json_only(LabelSetBody, EXAMPLE),
    responses={201: {"model": StoredLabelSet, "description": "It is new."}, **CHANGED},
)
async def put_label_set(request: Request, service: ServiceDep, name: Name) -> Response:
    """Creates it (201) or replaces it in whole (200). Examples of labels that stay are kept.

    `If-Match: "3"` replaces version 3 and nothing else; `If-None-Match: *` only creates.
    """
    reserve(request, MADE_OF * len(await request.body()))
    body = await read_json(request, LabelSetBody, _limits(service.settings))
    document = await offload(len(await request.body()), document_of, body, service.settings)
    most = service.settings.max_label_sets
    condition = condition_of(request)
    async with service.admission.slot(request):
        stored, new = await transactions.write(
            service.db, label_sets.put, name, document, most=most, condition=condition
        )
        return await _answer(service, stored, 201 if new else 200)


@router.patch(
    "/{name}",
    summary="Change a label set",
    response_model=StoredLabelSet,
    dependencies=[RoomDep],
    openapi_extra=openapi.json_only(LabelSetPatch, {"template": ["openai-7"], "reject": None}),
    responses=CHANGED,
)
async def patch_label_set(request: Request, service: ServiceDep, name: Name) -> Response:
    """Fields that are left out stay; null takes one back to its default (RFC 7396). Lists are replaced."""
    reserve(request, MADE_OF * len(await request.body()))
    body = await read_json(request, LabelSetPatch, _limits(service.settings))
    sent = await offload(len(await request.body()), body.model_dump, exclude_unset=True)

    def edit(old: Document) -> Document:
        merged = {**old, **sent}
        fields = {key: value for key, value in merged.items() if value is not None}
        return document_of(validate(LabelSetBody, fields), service.settings)

    condition = condition_of(request)
    async with service.admission.slot(request):
        await _make_room(request, service, name, len(await request.body()))
        stored = await transactions.write(service.db, label_sets.change, name, edit, condition=condition)
        return await _answer(service, stored)


@router.delete(
    "/{name}", summary="Delete a label set", status_code=204, responses=CHANGED, dependencies=[RoomDep]
)
async def delete_label_set(request: Request, service: ServiceDep, name: Name) -> Response:
    """With its examples and its calibration."""
    condition = condition_of(request)
    async with service.admission.slot(request):
        await transactions.write(service.db, label_sets.remove, name, condition=condition)
    return Response(status_code=204)


async def _make_room(request: Request, service: Service, name: str, body_bytes: int = 0) -> None:
    """For an answer that holds the set."""
    chars = await transactions.read(service.db, label_sets.document_chars, name)
    reserve(request, MADE_OF * (body_bytes + chars))


def _limits(settings: Settings) -> Limits:
    return {"labels": (settings.max_labels, "max_labels")}


async def _answer(service: Service, stored: Stored, status: int = 200) -> JSONResponse:
    """The set as it is kept, with its version as the ETag."""
    names = {vectors_key(classifier.info): name for name, classifier in service.classifiers.items()}
    calibration = []
    for fitted in stored.calibrations:
        facts = asdict(fitted)
        calibration.append({"model": names.get(facts.pop("fingerprint")), **facts})
    body = {"name": stored.name, "version": stored.version, "updated": stored.updated, **stored.document}
    body |= {"examples": dict(stored.examples), "calibration": calibration}
    headers = {"ETag": etag(stored.version)}
    # A label may have as many texts as fit into a request: only a thread is sure not to be noticed.
    return await asyncio.to_thread(JSONResponse, body, status_code=status, headers=headers)
