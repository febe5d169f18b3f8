"""Pictures with fields beside them, in each of the three ways: a form, JSON, or a raw body with a query.

All three are checked with the same pydantic model, so a field means the same whichever way it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from fastapi import Request

from app.http.errors import UnsupportedMediaType
from app.requests.body import (
    TooManyParts,
    media_type,
    offload,
    parse_json,
    read_form,
    validate,
)
from app.requests.limits import NO_LIMITS, Limits, tidy, within
from app.requests.uploads import UploadedImage, from_base64
from app.schemas.fields import PictureData
from app.schemas.requests import PicturesBody, PicturesOrVectorsBody
from app.settings import Settings
from models.errors import InvalidRequest

B = TypeVar("B", bound=PicturesBody)
Images = tuple[UploadedImage, ...]

REPEATABLE: Final = frozenset({"labels", "template"})


async def read_pictures(
    request: Request, settings: Settings, model: type[B], limits: Limits = NO_LIMITS
) -> tuple[B, Images]:
    """The fields and the pictures. Where `model` takes embeddings: pictures or embeddings, one of the two."""
    body, images = await _read(request, settings, model, limits)
    within(limits, vars(body))  # forms and queries
    if isinstance(body, PicturesOrVectorsBody):
        if bool(images) == bool(body.embeddings):
            raise InvalidRequest("send at least one picture as images, or else embeddings", field="images")
    elif not images:
        raise InvalidRequest("send at least one picture as images", field="images")
    return body, images


async def _read(request: Request, settings: Settings, model: type[B], limits: Limits) -> tuple[B, Images]:
    kind = media_type(request)
    if kind.startswith("image/") or kind == "application/octet-stream":
        fields = _fields(_grouped(request.query_params.multi_items()))
        if "images" in fields:
            raise InvalidRequest(
                "the picture is the body itself; leave images out of the query", field="images"
            )
        return validate(model, fields), (UploadedImage("images[0]", await request.body()),)
    if request.query_params:
        name = next(iter(request.query_params))
        raise InvalidRequest(
            f"{name[:80]} belongs in the body; only a raw picture has a query", field=name[:80]
        )
    if kind == "multipart/form-data":
        return await _read_form(request, settings, model)
    if kind == "application/json":
        raw = await request.body()
        limits = {"images": (settings.max_images, "max_images"), **limits}
        body = await offload(len(raw), parse_json, raw, model, limits)
        return body, await offload(len(raw), _decoded, body.images, settings.max_image_bytes)
    raise UnsupportedMediaType(
        "send multipart/form-data, application/json or the picture itself as image/…, "
        f"not {kind[:80] or 'a body without a type'}"
    )


async def _read_form(request: Request, settings: Settings, model: type[B]) -> tuple[B, Images]:
    try:
        form = await read_form(request, max_files=settings.max_images, max_fields=settings.max_labels + 200)
    except TooManyParts as error:
        field = "images" if error.what == "files" else "labels"
        most = settings.max_images if field == "images" else settings.max_labels
        message = f"{field} has more than {most} entries (limit: max_{field})"
        raise InvalidRequest(message, field=field) from error
    if "images" in form.texts:
        raise InvalidRequest("images must be sent as files (curl: -F images=@cat.jpg)", field="images")
    for name in form.files:
        if name != "images":
            raise InvalidRequest(
                f"{name[:80]!r} is sent as a file; the files go under images", field=name[:80]
            )
    # HTML forms send "" for a field that nobody filled in.
    filled = {name: values for name, values in form.texts.items() if values != [""]}
    nbytes = sum(100 + len(text) for values in filled.values() for text in values)
    body = await offload(nbytes, validate, model, _fields(filled))
    files = enumerate(form.files.get("images", ()))
    return body, tuple(UploadedImage(f"images[{i}]", data, tidy(name)) for i, (name, data) in files)


def _decoded(images: Sequence[PictureData], max_bytes: int) -> Images:
    return tuple(from_base64(x.data, f"images[{i}]", x.name, max_bytes) for i, x in enumerate(images))


def _grouped(items: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for name, value in items:
        texts.setdefault(name, []).append(value)
    return texts


def _fields(texts: Mapping[str, list[str]]) -> dict[str, Any]:
    """Text fields as JSON would have them: a repeated one is a list, a single one is left to its own rule."""
    fields: dict[str, Any] = {}
    for name, values in texts.items():
        if len(values) > 1 and name not in REPEATABLE:
            raise InvalidRequest(f"{name[:80]} is given {len(values)} times", field=name[:80])
        fields[name] = values if len(values) > 1 else values[0]
    return fields
