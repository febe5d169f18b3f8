"""Hugging Face's zero-shot-image-classification, as its Python and JavaScript InferenceClient ask for it.

    {"inputs": "<base64>", "parameters": {"candidate_labels": ["…"], "hypothesis_template"?: "…{}…"}}
    -> [{"label": "…", "score": 0.98}, …], highest score first

The JavaScript client sends `{"inputs": {"image": "<base64>"}, …}`, the hub's old widget `{"image": "…", …}`.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from app.requests.body import offload, offload_many, read_json
from app.requests.text_or_image_items import picture_item
from app.routes.compat.errors import router_with_errors_under
from app.routes.compat.labels import check_labels, label_matrix
from app.routes.dependencies import KeyDep, RoomDep, ServiceDep
from app.schemas.fields import TextLabels
from app.service.embedding import embed_pictures
from models.errors import InvalidRequest

router = router_with_errors_under("error")

TEMPLATE: Final = "This is a photo of {}."
"""The pipeline's default: transformers, pipelines/zero_shot_image_classification.py."""


class Parameters(BaseModel):
    """What is to be told apart."""

    candidate_labels: TextLabels
    hypothesis_template: str | None = None


class ZeroShot(BaseModel):
    """The clients' request; what else they send (options, a model's name) means nothing here."""

    inputs: Any = None
    image: Any = None
    parameters: Parameters


@router.post("/compat/huggingface", dependencies=[KeyDep, RoomDep])
@router.post("/compat/huggingface/{model:path}", dependencies=[KeyDep, RoomDep])
async def zero_shot(request: Request, service: ServiceDep, model: str | None = None) -> JSONResponse:
    """Labels with their probabilities, best first."""
    body = await read_json(request, ZeroShot)
    labels, template = body.parameters.candidate_labels, body.parameters.hypothesis_template or TEMPLATE
    check_labels(labels, "parameters.candidate_labels", service.settings)
    if template.count("{}") != 1:
        field = "parameters.hypothesis_template"
        raise InvalidRequest(f"{field} must hold {{}} exactly once, where the label goes", field=field)
    item = await offload(len(await request.body()), picture_item, *_picture(body), service.settings)
    classifier = service.classifier(model or None)
    async with service.door.slot(request) as slot:
        matrix = await label_matrix(classifier, labels, template, slot.deadline)
        (picture,) = await embed_pictures(classifier, [item], slot.deadline)
        ranking = await offload_many(len(labels), classifier.rank, picture.vector, matrix)
    return JSONResponse([{"label": ranked.label, "score": ranked.probability} for ranked in ranking])


def _picture(body: ZeroShot) -> tuple[Any, str]:
    """The picture's base64 and the field it stands in."""
    if isinstance(body.inputs, dict):
        return body.inputs.get("image"), "inputs.image"
    return (body.inputs, "inputs") if body.image is None else (body.image, "image")
