"""Checks that more than one way in makes: how many, how long, and what a file may be called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from models.errors import InvalidRequest

MAX_NAME_CHARS: Final = 200
MAX_PLACES: Final = 1_000_000
"""Labels shown and nodes of trees, of all pictures of a request: 64 pictures × 10,000 labels fit. Each takes
some microseconds and 70 bytes of JSON, so an answer takes some seconds and 70 MB at most."""

Limits: TypeAlias = Mapping[str, tuple[int, str]]
"""Of a request's lists: field -> the most entries, and the setting that says so."""
NO_LIMITS: Final[Limits] = MappingProxyType({})


def at_most(limit: int, values: Sequence[Any], field: str, setting: str) -> None:
    """Refuse a list that is longer than the setting allows."""
    if len(values) > limit:
        raise InvalidRequest(
            f"{field} has {len(values)} entries; at most {limit} (limit: {setting})", field=field
        )


def within(limits: Limits, values: Mapping[str, Any]) -> None:
    """Refuse a request's lists that are longer than they may be; other checks say what must be a list."""
    for field, (most, setting) in limits.items():
        if isinstance(values.get(field), list):
            at_most(most, values[field], field, setting)


def no_longer_than(limit: int, texts: Iterable[str], field: str, setting: str) -> None:
    """Refuse a text that is longer than the setting allows."""
    for index, text in enumerate(texts):
        if len(text) > limit:
            message = f"{field}[{index}] has {len(text)} characters; at most {limit} (limit: {setting})"
            raise InvalidRequest(message, field=f"{field}[{index}]")


def check_places(places: int, pictures: int) -> None:
    """Refuse an answer of `places` for each of `pictures` that would take too long or too much memory."""
    if places * pictures > MAX_PLACES:
        raise InvalidRequest(
            f"{pictures} pictures × {places} labels and levels of paths: at most {MAX_PLACES} in one answer; "
            "send fewer pictures or labels, or ask for top_k",
            field="labels",
        )


def tidy(name: str | None) -> str | None:
    """A file's name that is safe to print: its last part, printable, of bounded length."""
    if not name:
        return None
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return "".join(char if char.isprintable() else "�" for char in last[:MAX_NAME_CHARS]) or None
