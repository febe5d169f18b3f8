"""Examples of labels in a label set: pictures in, only their embeddings kept, removable one by one."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse

from app.requests.labelled import column_of, read_labelled
from app.requests.pictures import Images, read_pictures
from app.routes.dependencies import KeyDep, RoomDep, Service, ServiceDep
from app.routes.label_sets.etags import condition_of, etag
from app.routes.label_sets.sets import CHANGED, Name
from app.schemas import openapi
from app.schemas.label_sets import AddedExamples, AddedLabelledExamples, Example, ExampleList, LabelledBody
from app.schemas.requests import PicturesOrVectorsBody
from app.service import new_examples, transactions
from app.service.embedded_labels import vectors_key
from app.storage import examples as stored_examples
from app.storage.database import Condition

router = APIRouter(tags=["Label sets"], prefix="/v1/label-sets", dependencies=[KeyDep])

# `path`: a label may hold a slash.
Label = Annotated[
    str,
    Path(description="A label of the set, percent-encoded.", openapi_examples={"cat": {"value": "cat"}}),
]
PATH: Final = "/{name}/labels/{label:path}/examples"

ExampleId = Annotated[
    str,
    Path(
        description="As it was told when the picture was added, and in the list.",
        openapi_examples={
            "the example picture": {"value": stored_examples.id_of("cat", base64.b64decode(openapi.PICTURE))}
        },
    ),
]


@router.post(
    "/{name}/examples",
    summary="Add examples of many labels",
    response_model=AddedLabelledExamples,
    dependencies=[RoomDep],
    openapi_extra=openapi.form_or_json(LabelledBody, {"images": openapi.PICTURES, "labels": ["cat"]}),
    responses=CHANGED,
)
async def add_labelled_examples(request: Request, service: ServiceDep, name: Name) -> Response:
    """Pictures (or embeddings that one model gave) with the label of each, in the same order.

    All are kept under one new version of the set, or none. Otherwise as with the examples of one label.
    """
    body, images = await read_labelled(request, service.settings)
    condition = condition_of(request)
    async with service.admission.slot(request) as slot:
        known = await transactions.read(service.db, stored_examples.labels_of, name)
        column_of(body.labels, known)
        coming, lines = await _embedded(service, body, images, body.labels, slot.deadline)
        version = await _keep(service, name, coming, lines, condition)
    for line, label in zip(lines, body.labels, strict=True):
        line["label"] = label
    return JSONResponse(
        {"label_set": name, "version": version, "results": lines}, headers={"ETag": etag(version)}
    )


@router.post(
    PATH,
    summary="Add examples of a label",
    response_model=AddedExamples,
    dependencies=[RoomDep],
    openapi_extra=openapi.three_ways(PicturesOrVectorsBody, {"images": openapi.PICTURES}),
    responses=CHANGED,
)
async def add_examples(request: Request, service: ServiceDep, name: Name, label: Label) -> Response:
    """Each picture is embedded by every loaded model (or by `model` alone) and then forgotten.

    In place of pictures, embeddings that one model gave: they are that model's examples alone. Of several
    pictures an unreadable one gets an `error`; one that is there already is not added again.
    """
    limits = {"embeddings": (service.settings.max_examples, "max_examples")}
    body, images = await read_pictures(request, service.settings, PicturesOrVectorsBody, limits)
    condition = condition_of(request)
    async with service.admission.slot(request) as slot:
        # What cannot be kept need not be embedded.
        await transactions.read(service.db, stored_examples.listed, name, label)
        labels = [label] * (len(images) or len(body.embeddings))
        coming, lines = await _embedded(service, body, images, labels, slot.deadline)
        version = await _keep(service, name, coming, lines, condition)
    answer = {"label_set": name, "version": version, "label": label, "results": lines}
    return JSONResponse(answer, headers={"ETag": etag(version)})


@router.get(PATH, summary="List a label's examples", dependencies=[RoomDep])
async def list_examples(
    request: Request, service: ServiceDep, name: Name, label: Label, response: Response
) -> ExampleList:
    """Oldest first."""
    async with service.admission.slot(request):
        version, found = await transactions.read(service.db, stored_examples.listed, name, label)
    response.headers["ETag"] = etag(version)
    return ExampleList(
        label_set=name,
        version=version,
        data=[
            Example(id=each.id, label=label, models=_names(service, each.fingerprints), added=each.added)
            for each in found
        ],
    )


@router.delete(
    PATH + "/{example_id}",
    summary="Remove one example",
    status_code=204,
    responses=CHANGED,
    dependencies=[RoomDep],
)
async def remove_example(
    request: Request, service: ServiceDep, name: Name, label: Label, example_id: ExampleId
) -> Response:
    """Its embeddings are deleted; the set gets its next version."""
    condition = condition_of(request)
    async with service.admission.slot(request):
        version = await transactions.write(
            service.db, stored_examples.remove, name, label, example_id, condition=condition
        )
    return Response(status_code=204, headers={"ETag": etag(version)})


async def _embedded(
    service: Service, body: PicturesOrVectorsBody, images: Images, labels: Sequence[str], deadline: float
) -> tuple[list[stored_examples.Coming], list[dict[str, Any]]]:
    """Examples to keep, and a line of the answer for every picture."""
    if body.embeddings:
        return await new_examples.of_vectors(service.classifier(body.model), body.embeddings, labels)
    chosen = [service.classifier(body.model)] if body.model else list(service.classifiers.values())
    return await new_examples.of_images(chosen, images, labels, deadline)


async def _keep(
    service: Service,
    name: str,
    coming: Sequence[stored_examples.Coming],
    lines: Sequence[dict[str, Any]],
    condition: Condition,
) -> int:
    """The set's version now; lines without an error get the id of what was kept."""
    most = service.settings.max_examples
    version, added = await transactions.write(
        service.db, stored_examples.add, name, coming, most=most, condition=condition
    )
    kept = iter(added)
    for line in lines:
        if "error" not in line:
            each = next(kept)
            line |= {"id": each.id, "duplicate": each.duplicate}
    return version


def _names(service: Service, keys: Sequence[str]) -> list[str]:
    return [name for name, each in service.classifiers.items() if vectors_key(each.info) in keys]
