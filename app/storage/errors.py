"""What goes wrong with stored label sets; `app/http/errors.py` gives each its status."""

from __future__ import annotations

from models.errors import CandidError


class NotFound(CandidError):
    """A label set, label or example that is not there."""

    code = "not_found"


class PreconditionFailed(CandidError):
    """A change to something that is no longer what the caller believes (If-Match, If-None-Match)."""

    code = "precondition_failed"


class StoreUnavailable(CandidError):
    """The label sets' database cannot be reached or written to; classification without them goes on."""

    code = "store_unavailable"
