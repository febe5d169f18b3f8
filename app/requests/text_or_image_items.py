"""Texts and pictures in one list, and their embeddings in its order, for formats that mix the two.

Each item knows the field it came from, so that an error names what its sender wrote. Unlike `/v1/classify`,
these formats have no place for one picture's own error: the first one is the whole request's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.requests.body import decode_base64
from app.requests.limits import at_most
from app.settings import Settings
from models.errors import ImageRejected, InvalidRequest

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to embed, and where in the request it stands."""

    field: str
    value: str | bytes  # a text, or a picture's file

    @property
    def is_text(self) -> bool:
        return isinstance(self.value, str)


def text_item(value: Any, field: str, settings: Settings) -> Item:
    """A text that a model can read, or InvalidRequest."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise InvalidRequest(f"{field} must be a text, not empty, without NUL characters", field=field)
    limit = settings.max_text_chars
    if len(value) > limit:
        raise InvalidRequest(
            f"{field} has {len(value)} characters; at most {limit} (limit: max_text_chars)", field=field
        )
    return Item(field, value)


def picture_item(value: Any, field: str, settings: Settings) -> Item:
    """A picture from base64, plain or as a data URI; ImageRejected when it is neither."""
    if not isinstance(value, str):
        raise InvalidRequest(f"{field} must be a picture as base64 or as a data URI", field=field)
    try:
        return Item(field, decode_base64(value, max_bytes=settings.max_image_bytes, what=field))
    except ImageRejected as error:
        raise ImageRejected(error.reason, error.message, field=field) from None


def check_counts(items: Sequence[Item], field: str, settings: Settings) -> None:
    """Refuse more texts or pictures than the settings allow."""
    texts, pictures = [[item for item in items if item.is_text is kind] for kind in (True, False)]
    at_most(settings.max_labels, texts, field, "max_labels")
    at_most(settings.max_images, pictures, field, "max_images")
