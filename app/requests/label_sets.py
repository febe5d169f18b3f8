"""A label set that a caller sends, checked by the settings' limits."""

from __future__ import annotations

from typing import Any

from app.requests.limits import at_most, no_longer_than
from app.schemas.label_sets import LabelSetBody, label_set_of
from app.settings import Settings
from models.errors import InvalidRequest
from models.labels.label_set import check


def document_of(body: LabelSetBody, settings: Settings) -> dict[str, Any]:
    """The body as it is kept. Raises InvalidRequest for what breaks a limit or makes no classifier."""
    at_most(settings.max_labels, body.labels, "labels", "max_labels")
    no_longer_than(settings.max_label_chars, [x.label for x in body.labels], "labels", "max_label_chars")
    if body.domain is not None and not body.domain.strip():
        raise InvalidRequest("domain is empty; leave it out for none", field="domain")
    check(label_set_of(body))
    return body.model_dump()
