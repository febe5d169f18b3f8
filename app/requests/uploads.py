"""A picture or a text as it was sent, with the field that it came in: errors name that field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from app.requests.body import decode_base64
from app.requests.limits import at_most, tidy
from app.settings import Settings
from models.errors import ImageRejected, InvalidRequest


@dataclass(frozen=True, slots=True)
class UploadedImage:
    """A picture's file, or why it could not even be read."""

    field: str
    data: bytes | ImageRejected
    name: str | None = None


@dataclass(frozen=True, slots=True)
class UploadedText:
    """A text to embed as it stands."""

    field: str
    text: str


Upload: TypeAlias = UploadedImage | UploadedText


def uploaded_text(value: Any, field: str, settings: Settings) -> UploadedText:
    """A text that a model can read, or InvalidRequest."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise InvalidRequest(f"{field} must be a text, not empty, without NUL characters", field=field)
    limit = settings.max_text_chars
    if len(value) > limit:
        raise InvalidRequest(
            f"{field} has {len(value)} characters; at most {limit} (limit: max_text_chars)", field=field
        )
    return UploadedText(field, value)


def uploaded_image(value: Any, field: str, settings: Settings) -> UploadedImage:
    """A picture from base64, plain or as a data URI; ImageRejected when it is neither."""
    if not isinstance(value, str):
        raise InvalidRequest(f"{field} must be a picture as base64 or as a data URI", field=field)
    image = from_base64(value, field, None, settings.max_image_bytes)
    if isinstance(image.data, ImageRejected):
        raise image.data
    return image


def from_base64(text: str, field: str, name: str | None, max_bytes: int) -> UploadedImage:
    """A picture from base64; what is wrong with it becomes its own error."""
    try:
        return UploadedImage(field, decode_base64(text, max_bytes=max_bytes, what=field), tidy(name))
    except ImageRejected as error:
        return UploadedImage(field, ImageRejected(error.reason, error.message, field=field), tidy(name))


def check_counts(uploads: Sequence[Upload], field: str, settings: Settings) -> None:
    """Refuse more texts or pictures than the settings allow."""
    texts = [upload for upload in uploads if isinstance(upload, UploadedText)]
    images = [upload for upload in uploads if isinstance(upload, UploadedImage)]
    at_most(settings.max_labels, texts, field, "max_labels")
    at_most(settings.max_images, images, field, "max_images")
