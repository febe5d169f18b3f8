"""Everything that the CLIP wing raises on purpose.

CandidError
 ├─ ModelUnavailable        a model cannot be had: which, where it was looked for, what to do
 │   └─ WeightsCorrupt      its file is not safetensors, or not the bytes that were promised
 ├─ UnknownModel            a request names a model that is not loaded
 ├─ InvalidRequest          labels, templates, numbers that cannot be used; names the field
 ├─ ImageRejected           bytes that are no picture we accept; says which reason
 ├─ Overloaded              every slot or queue place is taken
 ├─ DeadlineExceeded        the caller's time ran out before the work was done
 ├─ ShuttingDown            the service is draining
 └─ EncoderFailed           the worker or the device failed

Each class has a stable `code`; the web wing turns it into a status in one table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

RejectReason = Literal[
    "empty",
    "not_an_image",
    "format_not_allowed",
    "too_many_bytes",
    "too_many_pixels",
    "too_costly",
    "damaged",
]


class CandidError(Exception):
    """Base of all: a stable code, a message for people, and the field it is about, if any."""

    code: ClassVar[str] = "candid_error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class ModelUnavailable(CandidError):
    """The model cannot be loaded; the message says which, where Candid looked and what to do."""

    code = "model_unavailable"


class WeightsCorrupt(ModelUnavailable):
    """A weight file is not what it should be; it is refused, never repaired or replaced."""

    code = "weights_corrupt"


class UnknownModel(CandidError):
    """A request names a model that this service has not loaded."""

    code = "unknown_model"

    def __init__(self, name: str, loaded: Iterable[str]) -> None:
        names = ", ".join(loaded)
        super().__init__(f"model {name!r} is not loaded; loaded are: {names}", field="model")


class InvalidRequest(CandidError):
    """Something asked for cannot be used; `field` names it."""

    code = "invalid_request"


class ImageRejected(CandidError):
    """Bytes that are not a picture Candid accepts."""

    code = "image_rejected"

    def __init__(self, reason: RejectReason, message: str, *, field: str | None = None) -> None:
        super().__init__(message, field=field)
        self.reason: RejectReason = reason


class Overloaded(CandidError):
    """No room for more work now; try again after `retry_after_s` seconds."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(CandidError):
    """The time that the caller gave ran out; the work was not done, or its result was dropped."""

    code = "deadline_exceeded"


class ShuttingDown(CandidError):
    """The service is draining and takes no new work."""

    code = "shutting_down"


class EncoderFailed(CandidError):
    """The encoder's worker or its device failed; `/readyz` says so until a forward succeeds again."""

    code = "encoder_failed"
