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

from app.http.buffer import reserve
from app.requests.body import offload, offload_many, read_json
from app.requests.question import plain_question
from app.requests.uploads import uploaded_image
from app.routes.compat.errors import router_with_errors_under
from app.routes.dependencies import KeyDep, RoomDep, ServiceDep
from app.schemas.fields import TextLabels
from app.service.embedding import embed_images
from app.service.sizes import ranking_bytes
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
    template = body.parameters.hypothesis_template or TEMPLATE
    field = "parameters.candidate_labels"
    question = plain_question(body.parameters.candidate_labels, template, field, service.settings)
    if template.count("{}") != 1:
        field = "parameters.hypothesis_template"
        raise InvalidRequest(f"{field} must hold {{}} exactly once, where the label goes", field=field)
    image = await offload(len(await request.body()), uploaded_image, *_picture(body), service.settings)
    classifier = service.classifier(model or None)
    reserve(request, ranking_bytes(question.names, None, is_tree=False))
    async with service.admission.slot(request) as slot:
        scorer = await service.scorers.scorer_for(classifier, question, slot.deadline)
        (embedded,) = await embed_images(classifier, [image], slot.deadline)

        def answer() -> JSONResponse:
            places = scorer.answer(embedded.vector).ranking
            return JSONResponse([{"label": place.label, "score": place.probability} for place in places])

        return await offload_many(scorer.work(None), answer)


def _picture(body: ZeroShot) -> tuple[Any, str]:
    """The picture's base64 and the field it stands in."""
    if isinstance(body.inputs, dict):
        return body.inputs.get("image"), "inputs.image"
    return (body.inputs, "inputs") if body.image is None else (body.image, "image")
