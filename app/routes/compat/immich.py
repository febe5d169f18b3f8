"""Immich's machine learning service, as its server asks for it: CLIP embeddings for smart search.

    entries = {"clip": {"visual": {"modelName": "ViT-B-32__openai"}}} and the file image
    entries = {"clip": {"textual": {"modelName": "ViT-B-32__openai"}}} and the field text
    -> {"clip": "[0.1,…]", "imageHeight": 300, "imageWidth": 451}: a list as a string; sizes for images only

Vectors of two models do not compare, so a model that is not loaded is an error, whichever is the default.
"""

from __future__ import annotations

import json

from fastapi import Request
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict

from app.http.errors import BadBody, UnsupportedMediaType
from app.requests.body import Form, media_type, parse_json, read_form
from app.requests.uploads import Upload, UploadedImage, UploadedText, uploaded_text
from app.routes.compat.errors import router_with_errors_under
from app.routes.dependencies import KeyDep, RoomDep, Service, ServiceDep
from app.service.embedding import embed_images, embed_uploads
from app.service.rendering import encoded
from models.errors import InvalidRequest

router = router_with_errors_under("detail")


class Entry(BaseModel):
    """One model and its options; the only option, `language`, is of no use to these models."""

    model_config = ConfigDict(protected_namespaces=())

    modelName: str


class Clip(BaseModel):
    """One of the two towers."""

    model_config = ConfigDict(extra="forbid")

    visual: Entry | None = None
    textual: Entry | None = None


class Entries(BaseModel):
    """What is asked. Faces and texts in pictures are other services' work: unknown tasks are errors."""

    model_config = ConfigDict(extra="forbid")

    clip: Clip


@router.get("/ping")
async def ping() -> PlainTextResponse:
    """Immich asks for this every half minute and holds any 200 for healthy."""
    return PlainTextResponse("pong")


@router.post("/predict", dependencies=[KeyDep, RoomDep])
async def predict(request: Request, service: ServiceDep) -> JSONResponse:
    """The embedding of one picture or one text."""
    if media_type(request) != "multipart/form-data":
        raise UnsupportedMediaType("send multipart/form-data with entries, and image or text")
    form = await read_form(request, max_files=1, max_fields=10)
    clip = parse_json(form.texts.get("entries", [""])[0].encode(), Entries).clip
    entry = clip.visual or clip.textual
    if entry is None or (clip.visual and clip.textual):
        raise InvalidRequest("entries.clip must be visual or textual, one of the two", field="entries")
    upload = _upload(form, service, visual=clip.visual is not None)
    classifier = service.classifier(entry.modelName.replace("__", "/", 1))
    async with service.admission.slot(request) as slot:
        if isinstance(upload, UploadedText):
            (vector,) = await embed_uploads(classifier, [upload], slot.deadline)
            return JSONResponse({"clip": _listed(encoded(vector, "float"))})
        (embedded,) = await embed_images(classifier, [upload], slot.deadline)
    size = {"imageHeight": embedded.height, "imageWidth": embedded.width}
    return JSONResponse({"clip": _listed(encoded(embedded.vector, "float")), **size})


def _upload(form: Form, service: Service, *, visual: bool) -> Upload:
    if visual and form.files.get("image"):
        return UploadedImage("image", form.files["image"][0][1])
    if not visual and form.texts.get("text"):
        return uploaded_text(form.texts["text"][0], "text", service.settings)
    raise BadBody(f"the form has no {'file image' if visual else 'field text'} to embed")


def _listed(vector: object) -> str:
    return json.dumps(vector, separators=(",", ":"))
