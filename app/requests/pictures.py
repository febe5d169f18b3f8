"""The three ways in which pictures come (form, JSON, raw body with a query) to one frozen request.

All three are checked with the same pydantic model, so a field means the same whichever way it came. Knows no
model: what a template or a label may say is the CLIP wing's matter.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fastapi import Request

from app.http.errors import UnsupportedMediaType
from app.requests.body import (
    TooManyParts,
    decode_base64,
    media_type,
    offload,
    offload_many,
    parse_json,
    read_form,
    validate,
)
from app.requests.limits import NO_LIMITS, Limits, no_longer_than, tidy, within
from app.requests.question import Question
from app.schemas.fields import PictureData
from app.schemas.label_sets import CalibrationBody, LabelSetBody, label_set_of
from app.schemas.requests import ClassifyBody, EmbedImagesBody, PicturesBody
from app.settings import Settings
from models.errors import ImageRejected, InvalidRequest
from models.labels.label_set import PATH, check

B = TypeVar("B", bound=PicturesBody)

REPEATABLE: Final = frozenset({"labels", "template"})
SPECIAL: Final = ("domain", "mode", "threshold", "reject", "reject_threshold")
"""Fields of ClassifyBody that a label set has too."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it was sent, or why it could not even be read."""

    name: str | None
    data: bytes | ImageRejected


@dataclass(frozen=True, slots=True)
class ClassifyRequest:
    """What is asked: rank these labels for these pictures, or for these vectors."""

    pictures: tuple[Picture, ...]
    embeddings: tuple[Any, ...]
    labels: tuple[str, ...]
    templates: tuple[str, ...]
    top_k: int | None
    model: str | None
    special: Question | None = None  # when more is asked for than plain labels


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """What is asked: the vectors of these pictures."""

    pictures: tuple[Picture, ...]
    encoding_format: str
    model: str | None


@dataclass(frozen=True, slots=True)
class CalibrationRequest:
    """What is asked: a temperature for these pictures, or for these vectors, with these right labels."""

    pictures: tuple[Picture, ...]
    embeddings: tuple[Any, ...]
    labels: tuple[str, ...]
    model: str | None


async def read_classify(request: Request, settings: Settings) -> ClassifyRequest:
    """The body of `/v1/classify`, whichever way it came."""
    limits = {
        "embeddings": (settings.max_images, "max_images"),
        "labels": (settings.max_labels, "max_labels"),
    }
    body, pictures = await _read(request, settings, ClassifyBody, limits)
    if bool(pictures) == bool(body.embeddings):
        raise InvalidRequest("send at least one picture as images, or else embeddings", field="images")
    within(limits, vars(body))  # forms and queries
    names = [label if isinstance(label, str) else str(label.get("label", "")) for label in body.labels]
    no_longer_than(settings.max_label_chars, names, "labels", "max_label_chars")
    return ClassifyRequest(
        pictures,
        tuple(body.embeddings),
        tuple(names),
        tuple(body.template),
        body.top_k,
        body.model,
        await offload_many(len(names), special_of, body),
    )


async def read_images(request: Request, settings: Settings) -> EmbedRequest:
    """The body of `/v1/embeddings/images`, whichever way it came."""
    body, pictures = await _read(request, settings, EmbedImagesBody)
    if not pictures:
        raise InvalidRequest("send at least one picture as images", field="images")
    return EmbedRequest(pictures, body.encoding_format, body.model)


def special_of(body: ClassifyBody) -> Question | None:
    """What is asked for beyond plain labels; None when nothing is."""
    given = {name for name in SPECIAL if getattr(body, name) is not None}
    if body.label_set is not None:
        if body.labels:
            raise InvalidRequest("send labels or label_set, not both", field="labels")
        changes = {name: getattr(body, name) for name in given}
        if body.template:
            changes["templates"] = tuple(body.template)
        return Question(name=body.label_set, changes=changes, calibrated=body.calibrated)
    if "labels" not in body.model_fields_set:
        raise InvalidRequest("labels is required, or the name of a label_set", field="labels")
    plain = all(isinstance(label, str) and PATH not in label for label in body.labels)
    if plain and not given and body.calibrated is None:
        return None
    counts = Counter(json.dumps(label, sort_keys=True) for label in body.labels)
    distinct = [json.loads(label) for label in counts]
    fields = {"labels": distinct, "template": body.template, **{name: getattr(body, name) for name in given}}
    label_set = label_set_of(validate(LabelSetBody, fields))
    check(label_set)
    repeated = [
        label.name for label, count in zip(label_set.labels, counts.values(), strict=True) if count > 1
    ]
    warnings = tuple(
        f"label {name[:80]!r} is given more than once; it is ranked once" for name in repeated[:20]
    )
    return Question(label_set=label_set, calibrated=body.calibrated, warnings=warnings)


async def read_pictures(request: Request, settings: Settings) -> tuple[tuple[Picture, ...], str | None]:
    """A body of pictures and nothing else, whichever way it came; and the model's name, if one is given."""
    body, pictures = await _read(request, settings, PicturesBody)
    if not pictures:
        raise InvalidRequest("send at least one picture as images", field="images")
    return pictures, body.model


async def read_calibration(request: Request, settings: Settings) -> CalibrationRequest:
    """The body of `/v1/label-sets/{name}/calibration`: a form or JSON."""
    limits = dict.fromkeys(("embeddings", "labels"), (settings.max_examples, "max_examples"))
    body, pictures = await _read(request, settings, CalibrationBody, limits)
    within(limits, vars(body))  # forms
    if bool(pictures) == bool(body.embeddings):
        raise InvalidRequest("send pictures as images, or else embeddings", field="images")
    count = len(pictures) or len(body.embeddings)
    if len(body.labels) != count:
        raise InvalidRequest(f"{len(body.labels)} labels for {count} pictures: send one each", field="labels")
    return CalibrationRequest(pictures, tuple(body.embeddings), tuple(body.labels), body.model)


async def _read(
    request: Request, settings: Settings, model: type[B], limits: Limits = NO_LIMITS
) -> tuple[B, tuple[Picture, ...]]:
    kind = media_type(request)
    if kind.startswith("image/") or kind == "application/octet-stream":
        fields = _fields(_grouped(request.query_params.multi_items()))
        if "images" in fields:
            raise InvalidRequest(
                "the picture is the body itself; leave images out of the query", field="images"
            )
        return validate(model, fields), (Picture(None, await request.body()),)
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
        pictures = await offload(len(raw), _decoded, body.images, settings.max_image_bytes)
        return body, pictures
    raise UnsupportedMediaType(
        "send multipart/form-data, application/json or the picture itself as image/…, "
        f"not {kind[:80] or 'a body without a type'}"
    )


async def _read_form(request: Request, settings: Settings, model: type[B]) -> tuple[B, tuple[Picture, ...]]:
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
    files = form.files.get("images", [])
    # HTML forms send "" for a field that nobody filled in.
    filled = {name: values for name, values in form.texts.items() if values != [""]}
    body = await offload_many(sum(map(len, filled.values())), validate, model, _fields(filled))
    return body, tuple(Picture(tidy(name), data) for name, data in files)


def _decoded(images: Sequence[PictureData], max_bytes: int) -> tuple[Picture, ...]:
    pictures = []
    for index, image in enumerate(images):
        data: bytes | ImageRejected
        try:
            data = decode_base64(image.data, max_bytes=max_bytes, what=f"images[{index}]")
        except ImageRejected as error:
            data = error
        pictures.append(Picture(tidy(image.name), data))
    return tuple(pictures)


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
