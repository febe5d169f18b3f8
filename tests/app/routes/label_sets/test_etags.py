"""app/routes/label_sets/etags.py: which versions a caller's headers stand for."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from app.routes.label_sets.etags import condition_of, etag, is_known
from app.storage.database import Condition


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw})


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({}, Condition()),
        ({"if_match": "*"}, Condition(exists=True)),
        ({"if_match": '"3"'}, Condition(versions=frozenset({3}))),
        ({"if_match": '"3" , "12"'}, Condition(versions=frozenset({3, 12}))),
        ({"if_match": 'W/"3"'}, Condition(versions=frozenset())),
        ({"if_match": '"abc", 3'}, Condition(versions=frozenset())),
        ({"if_match": '"' + "9" * 5000 + '"'}, Condition(versions=frozenset())),
        ({"if_none_match": "*"}, Condition(absent=True)),
        ({"if_none_match": '"3"'}, Condition()),
    ],
)
def test_what_the_caller_believes(headers: dict[str, str], condition: Condition) -> None:
    assert condition_of(request(**headers)) == condition


@pytest.mark.parametrize(("header", "known"), [('"3"', True), ('W/"3"', True), ("*", True), ('"4"', False)])
def test_what_the_caller_has_already(header: str, known: bool) -> None:
    assert is_known(request(if_none_match=header), 3) is known
    assert etag(3) == '"3"'
