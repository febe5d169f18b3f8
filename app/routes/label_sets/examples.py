"""Examples of a label in a label set: pictures in, only their embeddings kept, removable one by one."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from numpy.typing import NDArray

from app.http.errors import detail_of
from app.requests.pictures import read_pictures
from app.requests.uploads import UploadedImage
from app.routes.dependencies import KeyDep, RoomDep, Service, ServiceDep
from app.routes.label_sets.etags import condition_of, etag
from app.routes.label_sets.sets import CHANGED, Name
from app.schemas import openapi
from app.schemas.label_sets import AddedExamples, Example, ExampleList
from app.schemas.requests import PicturesBody
from app.service import transactions
from app.service.embedded_labels import vectors_key
from app.service.embedding import Outcome, embed_all
from app.storage import examples as stored_examples

if TYPE_CHECKING:
    from models.classifier import Classifier

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
    PATH,
    summary="Add examples of a label",
    response_model=AddedExamples,
    dependencies=[RoomDep],
    openapi_extra=openapi.three_ways(PicturesBody, {"images": openapi.PICTURES}),
    responses=CHANGED,
)
async def add_examples(request: Request, service: ServiceDep, name: Name, label: Label) -> Response:
    """Each picture is embedded by every loaded model (or by `model` alone) and then forgotten.

    Of several pictures an unreadable one gets an `error`; one that is there already is not added again.
    """
    body, images = await read_pictures(request, service.settings, PicturesBody)
    condition = condition_of(request)
    chosen = [service.classifier(body.model)] if body.model else list(service.classifiers.values())
    async with service.admission.slot(request) as slot:
        # What cannot be kept need not be embedded.
        await transactions.read(service.db, stored_examples.listed, name, label)
        outcomes = [await embed_all(classifier, images, slot.deadline) for classifier in chosen]
        vectors, results = await asyncio.to_thread(_sorted, label, chosen, images, outcomes)
        most = service.settings.max_examples
        version, added = await transactions.write(
            service.db, stored_examples.add, name, label, vectors, most=most, condition=condition
        )
    kept = iter(added)
    for result in results:
        if "error" not in result:
            each = next(kept)
            result |= {"id": each.id, "duplicate": each.duplicate}
    answer = {"label_set": name, "version": version, "label": label, "results": results}
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


def _sorted(
    label: str,
    classifiers: Sequence[Classifier],
    images: Sequence[UploadedImage],
    outcomes: Sequence[Sequence[Outcome]],
) -> tuple[list[tuple[str, Mapping[str, NDArray[np.float32]]]], list[dict[str, Any]]]:
    """Of readable pictures the id and the vectors by `vectors_key`; of each a line, with its error if any."""
    vectors: list[tuple[str, Mapping[str, NDArray[np.float32]]]] = []
    lines: list[dict[str, Any]] = []
    for image, seen in zip(images, zip(*outcomes, strict=True), strict=True):
        errors = [found for found in (image.data, *seen) if isinstance(found, Exception)]
        if errors or not isinstance(image.data, bytes):
            lines.append({"name": image.name, "error": detail_of(errors[0])})
            continue
        own = {vectors_key(c.info): o.vector for c, o in zip(classifiers, seen, strict=True)}
        vectors.append((stored_examples.id_of(label, image.data), own))
        lines.append({"name": image.name})
    return vectors, lines


def _names(service: Service, keys: Sequence[str]) -> list[str]:
    return [name for name, each in service.classifiers.items() if vectors_key(each.info) in keys]
