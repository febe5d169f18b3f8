"""The body of `/v1/label-sets/{name}/calibration`: labelled pictures, or labelled vectors of pictures."""

from __future__ import annotations

from fastapi import Request

from app.requests.pictures import Images, read_pictures
from app.schemas.label_sets import CalibrationBody
from app.settings import Settings
from models.errors import InvalidRequest


async def read_calibration(request: Request, settings: Settings) -> tuple[CalibrationBody, Images]:
    """As many labels as pictures, or InvalidRequest."""
    limits = dict.fromkeys(("embeddings", "labels"), (settings.max_examples, "max_examples"))
    body, images = await read_pictures(request, settings, CalibrationBody, limits)
    count = len(images) or len(body.embeddings)
    if len(body.labels) != count:
        raise InvalidRequest(f"{len(body.labels)} labels for {count} pictures: send one each", field="labels")
    return body, images
