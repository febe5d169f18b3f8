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
from app.requests.pictures import Picture, read_pictures
from app.routes.dependencies import KeyDep, RoomDep, Service, ServiceDep
from app.routes.label_sets.etags import condition_of, etag
from app.routes.label_sets.sets import CHANGED, Name
from app.schemas import openapi
from app.schemas.label_sets import AddedExamples, Example, ExampleList
from app.schemas.requests import PicturesBody
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
    pictures, model = await read_pictures(request, service.settings)
    # What cannot be kept need not be embedded.
    await asyncio.to_thread(stored_examples.listed, service.answers.db, name, label)
    chosen = [service.classifier(model)] if model is not None else list(service.classifiers.values())
    async with service.door.slot(request) as slot:
        outcomes = [await embed_all(classifier, pictures, slot.deadline) for classifier in chosen]
    vectors, results = await asyncio.to_thread(_sorted, label, chosen, pictures, outcomes)
    version, added = await asyncio.to_thread(
        stored_examples.add,
        service.answers.db,
        name,
        label,
        vectors,
        most=service.settings.max_examples,
        condition=condition_of(request),
    )
    kept = iter(added)
    for result in results:
        if "error" not in result:
            each = next(kept)
            result |= {"id": each.id, "duplicate": each.duplicate}
    answer = {"label_set": name, "version": version, "label": label, "results": results}
    return JSONResponse(answer, headers={"ETag": etag(version)})


@router.get(PATH, summary="List a label's examples")
async def list_examples(service: ServiceDep, name: Name, label: Label, response: Response) -> ExampleList:
    """Oldest first."""
    version, found = await asyncio.to_thread(stored_examples.listed, service.answers.db, name, label)
    response.headers["ETag"] = etag(version)
    return ExampleList(
        label_set=name,
        version=version,
        data=[
            Example(id=each.id, label=label, models=_names(service, each.fingerprints), added=each.added)
            for each in found
        ],
    )


@router.delete(PATH + "/{example_id}", summary="Remove one example", status_code=204, responses=CHANGED)
async def remove_example(
    request: Request, service: ServiceDep, name: Name, label: Label, example_id: ExampleId
) -> Response:
    """Its embeddings are deleted; the set gets its next version."""
    condition = condition_of(request)
    version = await asyncio.to_thread(
        stored_examples.remove, service.answers.db, name, label, example_id, condition=condition
    )
    return Response(status_code=204, headers={"ETag": etag(version)})


def _sorted(
    label: str,
    classifiers: Sequence[Classifier],
    pictures: Sequence[Picture],
    outcomes: Sequence[Sequence[Outcome]],
) -> tuple[list[tuple[str, Mapping[str, NDArray[np.float32]]]], list[dict[str, Any]]]:
    """Of readable pictures the id and the vectors by fingerprint; of each a line, with its error if any."""
    vectors: list[tuple[str, Mapping[str, NDArray[np.float32]]]] = []
    lines: list[dict[str, Any]] = []
    for picture, seen in zip(pictures, zip(*outcomes, strict=True), strict=True):
        errors = [found for found in (picture.data, *seen) if isinstance(found, Exception)]
        if errors or not isinstance(picture.data, bytes):
            lines.append({"name": picture.name, "error": detail_of(errors[0])})
            continue
        own = {c.info.fingerprint: o.vector for c, o in zip(classifiers, seen, strict=True)}
        vectors.append((stored_examples.id_of(label, picture.data), own))
        lines.append({"name": picture.name})
    return vectors, lines


def _names(service: Service, fingerprints: Sequence[str]) -> list[str]:
    return [name for name, each in service.classifiers.items() if each.info.fingerprint in fingerprints]
