"""Versions as HTTP tells them: ETag out, If-Match and If-None-Match in (RFC 9110, section 13)."""

from __future__ import annotations

import re

from fastapi import Request

from app.storage.database import Condition


def etag(version: int) -> str:
    """The version as an ETag."""
    return f'"{version}"'


def condition_of(request: Request) -> Condition:
    """What the caller believes is stored. A tag that is none of ours fits no version."""
    match = request.headers.get("if-match")
    absent = request.headers.get("if-none-match", "").strip() == "*"
    if match is None:
        return Condition(absent=absent)
    if match.strip() == "*":
        return Condition(exists=True, absent=absent)
    # Weak tags never fit here: comparison is strong.
    numbers = re.findall(r'(?:^|,)\s*"(\d{1,9})"\s*(?=,|$)', match)
    return Condition(versions=frozenset(map(int, numbers)), absent=absent)


def is_known(request: Request, version: int) -> bool:
    """Whether the caller has this version already: a 304 will do."""
    tags = request.headers.get("if-none-match", "").split(",")
    return any(tag.strip().removeprefix("W/") in ("*", etag(version)) for tag in tags)
