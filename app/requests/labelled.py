"""Labelled pictures, or labelled vectors of pictures: as many labels as pictures, all of them the set's."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fastapi import Request

from app.requests.pictures import Images, read_pictures
from app.schemas.label_sets import LabelledBody
from app.settings import Settings
from models.errors import InvalidRequest


async def read_labelled(request: Request, settings: Settings) -> tuple[LabelledBody, Images]:
    """As many labels as pictures, or InvalidRequest."""
    limits = dict.fromkeys(("embeddings", "labels"), (settings.max_examples, "max_examples"))
    body, images = await read_pictures(request, settings, LabelledBody, limits)
    count = len(images) or len(body.embeddings)
    if len(body.labels) != count:
        raise InvalidRequest(f"{len(body.labels)} labels for {count} pictures: send one each", field="labels")
    return body, images


def column_of(labels: Sequence[str], known: Collection[str]) -> list[int]:
    """Where each label stands among those of the set, or InvalidRequest."""
    column = {label: i for i, label in enumerate(known)}
    for position, label in enumerate(labels):
        if label not in column:
            field = f"labels[{position}]"
            raise InvalidRequest(f"{field}: the set has no label {label[:80]!r}", field=field)
    return [column[label] for label in labels]
