"""POST /v1/embeddings (texts and pictures, in OpenAI's shape) and POST /v1/embeddings/images."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from numpy.typing import NDArray

from app.http.errors import detail_of
from app.requests.body import offload, offload_many, read_json
from app.requests.openai_input import items_of
from app.requests.pictures import Picture, read_images
from app.requests.text_or_image_items import Item
from app.routes.dependencies import KeyDep, RoomDep, ServiceDep
from app.schemas import openapi
from app.schemas.requests import EmbedImagesBody, EmbedTextsBody
from app.schemas.responses import EmbeddingList
from app.service.embedding import Outcome, embed_all, embed_items
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
async def embed_texts(request: Request, service: ServiceDep) -> JSONResponse:
    """Unit vectors of texts, as OpenAI's clients ask for them. No template is added.

    Pictures may stand among the texts, as data URIs or as `{"image": …}`. A text longer than the model's
    context is cut there, and `warnings` names it.
    """
    asked = await read_json(request, EmbedTextsBody)
    items = await offload(len(await request.body()), items_of, asked, service.settings)
    classifier = service.classifier(asked.model)
    dim = classifier.info.embed_dim
    if asked.dimensions not in (None, dim):
        raise InvalidRequest(
            f"dimensions must be {dim}, what the model gives, or left out", field="dimensions"
        )
    async with service.door.slot(request) as slot:
        vectors = await embed_items(classifier, items, slot.deadline)
        # Tokenizing waits for a lock that another request may hold.
        counts = await asyncio.to_thread(_tokens, classifier, items)
        data = await offload_many(len(items) * 8, _rows, vectors, asked.encoding_format)
    limit = classifier.info.context_length
    answer = {
        "object": "list",
        "data": data,
        "model": classifier.info.name,
        "usage": {"prompt_tokens": sum(counts), "total_tokens": sum(counts)},
        "warnings": [
            f"{item.field} is cut: it has {count} tokens and the model reads {limit}"
            for item, count in zip(items, counts, strict=True)
            if count > limit
        ][:20],
    }
    return await offload_many(len(items) * 8, JSONResponse, answer)


@router.post(
    "/v1/embeddings/images",
    summary="Embed pictures",
    response_model=EmbeddingList,
    dependencies=[KeyDep, RoomDep],
    openapi_extra=openapi.three_ways(EmbedImagesBody, IMAGES),
)
async def embed_images(request: Request, service: ServiceDep) -> JSONResponse:
    """Unit vectors of pictures, in the same space as those of texts.

    `/v1/classify` takes them as `embeddings`, so that a picture is sent once however often its labels change.
    """
    asked = await read_images(request, service.settings)
    classifier = service.classifier(asked.model)
    async with service.door.slot(request) as slot:
        outcomes = await embed_all(classifier, asked.pictures, slot.deadline)
    answer = {
        "object": "list",
        "data": [
            _image_row(index, picture, outcome, asked.encoding_format)
            for index, (picture, outcome) in enumerate(zip(asked.pictures, outcomes, strict=True))
        ],
        "model": classifier.info.name,
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
        "warnings": [],
    }
    return await offload_many(len(outcomes) * 8, JSONResponse, answer)


def _tokens(classifier: Classifier, items: Sequence[Item]) -> list[int]:
    """Tokens of each text; a picture has none."""
    counts = iter(classifier.count_tokens([item.value for item in items if isinstance(item.value, str)]))
    return [next(counts) if item.is_text else 0 for item in items]


def _rows(vectors: Sequence[NDArray[np.float32]], encoding_format: str) -> list[dict[str, Any]]:
    return [
        {"object": "embedding", "index": index, "embedding": encoded(vector, encoding_format)}
        for index, vector in enumerate(vectors)
    ]


def _image_row(index: int, picture: Picture, outcome: Outcome, encoding_format: str) -> dict[str, Any]:
    row: dict[str, Any] = {"object": "embedding", "index": index, "name": picture.name}
    if isinstance(outcome, Exception):
        return row | {"embedding": None, "error": detail_of(outcome)}
    vector = encoded(outcome.vector, encoding_format)
    return row | {"embedding": vector, "width": outcome.width, "height": outcome.height}


def encoded(vector: NDArray[np.float32] | Sequence[float], encoding_format: str) -> list[float] | str:
    """A vector as OpenAI's clients read it: numbers, or base64 of little-endian float32."""
    row = np.asarray(vector, dtype="<f4")
    if encoding_format == "base64":
        return base64.b64encode(row.tobytes()).decode()
    return [round(number, 7) for number in row.tolist()]
