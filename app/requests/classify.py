"""The body of `/v1/classify` to one frozen request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request

from app.requests.body import offload_many
from app.requests.limits import check_places, no_longer_than
from app.requests.pictures import Images, read_pictures
from app.requests.question import Question, question_of
from app.schemas.requests import ClassifyBody
from app.settings import Settings
from models.errors import InvalidRequest
from models.labels.vocabularies import vocabulary

MAX_OVERLAYS: Final = 64
"""Pictures × labels drawn for one request: each takes 60 ms and up to a megabyte."""
EXPLAINED: Final = 3
"""Labels that are explained unless `explain_top_k` says otherwise."""
TEXTS_OF_A_LABEL: Final = 150
"""That a label may have when it is an object: aliases, descriptions, prompts (`label_set.MAX_TEXTS` each)."""


@dataclass(frozen=True, slots=True)
class Explaining:
    """What is asked of each picture beside its ranking."""

    top_k: int = EXPLAINED  # labels, the best first
    overlay: bool = False  # draw them, too


@dataclass(frozen=True, slots=True)
class ClassifyRequest:
    """Pictures, or vectors of pictures, and what is asked of them."""

    images: Images
    embeddings: tuple[Any, ...]
    question: Question
    model: str | None
    explaining: Explaining | None = None


async def read_classify(request: Request, settings: Settings) -> ClassifyRequest:
    """Raises InvalidRequest for what breaks a limit or cannot be answered, before any of it is worked on."""
    limits = {
        "embeddings": (settings.max_images, "max_images"),
        "labels": (settings.max_labels, "max_labels"),
    }
    body, images = await read_pictures(request, settings, ClassifyBody, limits)
    names = [label if isinstance(label, str) else str(label.get("label", "")) for label in body.labels]
    no_longer_than(settings.max_label_chars, names, "labels", "max_label_chars")
    texts = sum(1 if isinstance(label, str) else TEXTS_OF_A_LABEL for label in body.labels)
    if body.vocabulary is not None:
        texts = len(vocabulary(body.vocabulary).labels)
    question = await offload_many(texts, question_of, body)
    check_places(question.places, len(images) or len(body.embeddings))
    explaining = explaining_of(body, len(images))
    return ClassifyRequest(images, tuple(body.embeddings), question, body.model, explaining)


def explaining_of(body: ClassifyBody, pictures: int) -> Explaining | None:
    """Raises InvalidRequest where nothing can be explained, or too much would be drawn."""
    if not body.explain:
        if body.explain_top_k is not None:
            raise InvalidRequest("explain_top_k goes with explain", field="explain_top_k")
        return None
    if body.embeddings:
        raise InvalidRequest(
            "explain needs the pictures themselves: embeddings do not say where", field="explain"
        )
    asked = Explaining(body.explain_top_k or EXPLAINED, overlay=body.explain == "overlay")
    if asked.overlay and pictures * asked.top_k > MAX_OVERLAYS:
        raise InvalidRequest(
            f"explain: {pictures} pictures × {asked.top_k} labels to draw; at most {MAX_OVERLAYS} at once",
            field="explain",
        )
    return asked
