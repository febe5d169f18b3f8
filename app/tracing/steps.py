"""Where a request's time goes, step by step, for whoever traces it. Nothing is noted while nobody does."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple


class Step(NamedTuple):
    """What one request, or one of its pictures, spent a while on."""

    name: str
    began: float  # time.monotonic()
    ended: float
    attributes: dict[str, int]


@dataclass(slots=True)
class Steps:
    """Of one request."""

    began: float = field(default_factory=time.monotonic)
    noted: list[Step] = field(default_factory=list)


traced: ContextVar[Steps | None] = ContextVar("traced", default=None)
"""The request at hand, if it is traced; its tasks inherit it."""


def note(name: str, began: float, ended: float | None = None, **attributes: int) -> None:
    """Say that a step has ended, now unless `ended` says when."""
    if (steps := traced.get()) is not None:
        steps.noted.append(Step(name, began, time.monotonic() if ended is None else ended, attributes))


def note_read() -> None:
    """Say that the request is here and understood."""
    if (steps := traced.get()) is not None:
        note("read", steps.began)
