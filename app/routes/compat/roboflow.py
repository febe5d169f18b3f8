"""Roboflow inference's CLIP routes, as `inference-sdk` asks for them.

    /clip/embed_image {"image": {"type": "base64", "value": "…"} or several}  -> {"embeddings": [[…]], …}
    /clip/embed_text  {"text": "…" or several}                                -> {"embeddings": [[…]], …}
    /clip/compare     {"subject": …, "subject_type": "image", "prompt": …, "prompt_type": "text"}
                                                                              -> {"similarity": [0.3, …], …}

`similarity` is a cosine. A `clip_version_id` names one of OpenAI's models, which is used if it is loaded.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from app.http.buffer import reserve
from app.requests.body import offload, offload_many, read_json
from app.requests.uploads import Upload, check_counts, uploaded_image, uploaded_text
from app.routes.compat.errors import router_with_errors_under
from app.routes.dependencies import KeyDep, RoomDep, Service, ServiceDep
from app.service.embedding import embed_uploads
from app.service.rendering import OneList, encoded, offload_numbers, to_json
from app.service.sizes import vectors_bytes
from app.settings import Settings
from models.errors import InvalidRequest

if TYPE_CHECKING:
    from models.classifier import Classifier

router = router_with_errors_under("message")

Kind = Literal["image", "text"]


class Asked(BaseModel):
    """What all three take; the rest that the SDK sends (api_key, source, …) means nothing here."""

    clip_version_id: str | None = None


class EmbedImage(Asked):
    """Pictures to embed."""

    image: Any


class EmbedText(Asked):
    """Texts to embed."""

    text: Any


class Compare(Asked):
    """One thing and others to compare it with."""

    subject: Any
    subject_type: Kind = "image"
    prompt: Any
    prompt_type: Kind = "text"


@router.post("/clip/embed_image", dependencies=[KeyDep, RoomDep])
async def embed_image(request: Request, service: ServiceDep) -> Response:
    """Unit vectors of pictures."""
    body = await read_json(request, EmbedImage)
    return await _embed(request, service, body, body.image, "image", "image")


@router.post("/clip/embed_text", dependencies=[KeyDep, RoomDep])
async def embed_text(request: Request, service: ServiceDep) -> Response:
    """Unit vectors of texts."""
    body = await read_json(request, EmbedText)
    return await _embed(request, service, body, body.text, "text", "text")


@router.post("/clip/compare", dependencies=[KeyDep, RoomDep])
async def compare(request: Request, service: ServiceDep) -> JSONResponse:
    """Cosine similarities of the subject and each prompt, in the order or under the names of the prompts."""
    started = time.perf_counter()
    body, settings = await read_json(request, Compare), service.settings
    names, prompts = _prompts(body)
    size = len(await request.body())
    subject = await offload(size, _uploads, [body.subject], body.subject_type, "subject", settings)
    others = await offload(size, _uploads, prompts, body.prompt_type, "prompt", settings)
    classifier = _classifier(service, body)
    reserve(request, vectors_bytes(len(prompts), classifier.info.embed_dim))
    async with service.admission.slot(request) as slot:
        first, *rest = await embed_uploads(classifier, [*subject, *others], slot.deadline)

        def answer() -> JSONResponse:
            cosines = [round(cosine, 7) for cosine in (np.stack(rest) @ first).tolist()]
            similarity = cosines if names is None else dict(zip(names, cosines, strict=True))
            return JSONResponse({"similarity": similarity, **_frame(started)})

        return await offload_many(len(rest), answer)


async def _embed(
    request: Request, service: Service, body: Asked, value: Any, kind: Kind, field: str
) -> Response:
    started = time.perf_counter()
    values = value if isinstance(value, list) else [value]
    uploads = await offload(len(await request.body()), _uploads, values, kind, field, service.settings)
    classifier = _classifier(service, body)
    dim = classifier.info.embed_dim
    reserve(request, vectors_bytes(len(uploads), dim))
    async with service.admission.slot(request) as slot:
        vectors = await embed_uploads(classifier, uploads, slot.deadline)

        def answer() -> Response:
            made = OneList({}, "embeddings")
            for index, vector in enumerate(vectors):
                made.add(index, to_json(encoded(vector, "float")))
            return Response(made.end(_frame(started)), media_type="application/json")

        return await offload_numbers(len(uploads), dim, answer)


def _uploads(values: Sequence[Any], kind: Kind, field: str, settings: Settings) -> list[Upload]:
    if not values or len(values) > max(settings.max_labels, settings.max_images):
        raise InvalidRequest(f"{field} has {len(values)} entries; that is none or too many", field=field)
    uploads: list[Upload] = []
    for index, value in enumerate(values):
        place = f"{field}[{index}]" if len(values) > 1 else field
        if kind == "text":
            uploads.append(uploaded_text(value, place, settings))
        elif isinstance(value, dict) and value.get("type") == "base64":
            uploads.append(uploaded_image(value.get("value"), f"{place}.value", settings))
        else:  # a URL is not fetched, and "numpy" is a pickle
            raise InvalidRequest(f'{place} must be {{"type": "base64", "value": "…"}}', field=place)
    check_counts(uploads, field, settings)
    return uploads


def _prompts(body: Compare) -> tuple[list[str] | None, list[Any]]:
    """The prompts and, when they came under names, their names."""
    if isinstance(body.prompt, list):
        return None, body.prompt
    if isinstance(body.prompt, dict) and not (body.prompt_type == "image" and "type" in body.prompt):
        return list(body.prompt), list(body.prompt.values())
    return None, [body.prompt]


def _classifier(service: Service, body: Asked) -> Classifier:
    name = body.clip_version_id
    if name is None or name in service.classifiers:
        return service.classifier(name)
    return service.classifier(f"{name.removesuffix('px')}/openai")  # "ViT-L-14-336px" is the only "px"


def _frame(started: float) -> dict[str, Any]:
    """What the SDK looks up beside the answer: seconds, and a frame's number, which pictures have not."""
    return {"time": round(time.perf_counter() - started, 6), "frame_id": None}
