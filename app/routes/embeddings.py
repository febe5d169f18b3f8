"""POST /v1/embeddings (texts and pictures, in OpenAI's shape) and POST /v1/embeddings/images."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response

from app.http.buffer import reserve
from app.http.errors import detail_of
from app.requests.body import offload, read_json
from app.requests.openai_input import uploads_of
from app.requests.pictures import read_pictures
from app.requests.uploads import Upload, UploadedImage, UploadedText
from app.routes.dependencies import KeyDep, RoomDep, ServiceDep
from app.schemas import openapi
from app.schemas.requests import EmbedImagesBody, EmbedTextsBody
from app.schemas.responses import EmbeddingList
from app.service.embedding import Outcome, embed_all, embed_uploads
from app.service.rendering import OneList, encoded, offload_numbers, to_json
from app.service.sizes import REST_BYTES, vectors_bytes
from models.errors import InvalidRequest

if TYPE_CHECKING:
    from models.classifier import Classifier

router = APIRouter(tags=["Embed"])

TEXTS: Final = {"input": ["a photo of a cat", "a photo of a dog"], "encoding_format": "float"}
IMAGES: Final = {"images": openapi.PICTURES, "encoding_format": "float"}


@router.post(
    "/v1/embeddings",
    summary="Embed texts",
    response_model=EmbeddingList,
    dependencies=[KeyDep, RoomDep],
    openapi_extra=openapi.json_only(EmbedTextsBody, TEXTS),
)
async def embed_texts(request: Request, service: ServiceDep) -> Response:
    """Unit vectors of texts, as OpenAI's clients ask for them. No template is added.

    Pictures may stand among the texts, as data URIs or as `{"image": …}`. A text longer than the model's
    context is cut there, and `warnings` names it.
    """
    body = await read_json(request, EmbedTextsBody)
    uploads = await offload(len(await request.body()), uploads_of, body, service.settings)
    classifier = service.classifier(body.model)
    dim, limit = classifier.info.embed_dim, classifier.info.context_length
    if body.dimensions not in (None, dim):
        raise InvalidRequest(
            f"dimensions must be {dim}, what the model gives, or left out", field="dimensions"
        )
    reserve(request, vectors_bytes(len(uploads), dim))
    async with service.admission.slot(request) as slot:
        vectors = await embed_uploads(classifier, uploads, slot.deadline)
        # Tokenizing waits for a lock that another request may hold.
        counts = await asyncio.to_thread(_tokens, classifier, uploads)
        warnings = [
            f"{upload.field} is cut: it has {count} tokens and the model reads {limit}"
            for upload, count in zip(uploads, counts, strict=True)
            if count > limit
        ][:20]

        def answer() -> Response:
            rows = (
                {"object": "embedding", "index": index, "embedding": encoded(vector, body.encoding_format)}
                for index, vector in enumerate(vectors)
            )
            return _answer(classifier, rows, sum(counts), warnings)

        return await offload_numbers(len(uploads), dim, answer)


@router.post(
    "/v1/embeddings/images",
    summary="Embed pictures",
    response_model=EmbeddingList,
    dependencies=[KeyDep, RoomDep],
    openapi_extra=openapi.three_ways(EmbedImagesBody, IMAGES),
)
async def embed_images(request: Request, service: ServiceDep) -> Response:
    """Unit vectors of pictures, in the same space as those of texts.

    `/v1/classify` takes them as `embeddings`, so that a picture is sent once however often its labels change.
    """
    body, images = await read_pictures(request, service.settings, EmbedImagesBody)
    classifier = service.classifier(body.model)
    dim = classifier.info.embed_dim
    reserve(request, vectors_bytes(len(images), dim) + len(images) * REST_BYTES)
    async with service.admission.slot(request) as slot:
        outcomes = await embed_all(classifier, images, slot.deadline)

        def answer() -> Response:
            rows = (
                _image_row(index, image, outcome, body.encoding_format)
                for index, (image, outcome) in enumerate(zip(images, outcomes, strict=True))
            )
            return _answer(classifier, rows, 0, [])

        return await offload_numbers(len(images), dim, answer)


def _tokens(classifier: Classifier, uploads: Sequence[Upload]) -> list[int]:
    """Tokens of each text; a picture has none."""
    texts = [upload.text for upload in uploads if isinstance(upload, UploadedText)]
    counts = iter(classifier.count_tokens(texts))
    return [next(counts) if isinstance(upload, UploadedText) else 0 for upload in uploads]


def _image_row(index: int, image: UploadedImage, outcome: Outcome, encoding_format: str) -> dict[str, Any]:
    row: dict[str, Any] = {"object": "embedding", "index": index, "name": image.name}
    if isinstance(outcome, Exception):
        return row | {"embedding": None, "error": detail_of(outcome)}
    vector = encoded(outcome.vector, encoding_format)
    return row | {"embedding": vector, "width": outcome.width, "height": outcome.height}


def _answer(
    classifier: Classifier, rows: Iterable[dict[str, Any]], tokens: int, warnings: list[str]
) -> Response:
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    made = OneList({"object": "list"}, "data")
    for index, row in enumerate(rows):
        made.add(index, to_json(row))
    answer = made.end({"model": classifier.info.name, "usage": usage, "warnings": warnings})
    return Response(answer, media_type="application/json")
