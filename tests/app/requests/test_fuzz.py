"""Pictures, JSON and forms, made up: whatever comes is answered, or is the caller's error.

The seeds are bodies that were trouble once. A long run by hand:
`FUZZ_EXAMPLES=100000 make test PYTEST="-k fuzz"`, or against a service `python -m bench.resilience.fuzz`.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.testclient import TestClient

from app.requests.body import parse_json
from models.errors import CandidError
from tests import hostile

BY_HAND = os.environ.get("FUZZ_EXAMPLES")
FUZZ = settings(
    max_examples=int(BY_HAND or 60),
    derandomize=not BY_HAND,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
PICTURES = settings(FUZZ, max_examples=5 * FUZZ.max_examples)
FORM = "multipart/form-data; boundary=XX"

NAMES = ["labels", "images", "embeddings", "input", "template", "top_k", "mode", "reject", "model"]
FIELDS = st.sampled_from(["", *NAMES])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(FIELDS | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=20,
)
OBJECTS = st.dictionaries(FIELDS, VALUES, max_size=6)
TEXT = ["labels", "images", "embeddings"]

SEEDS = (
    b'{"labels":' + b"[" * 300 + b"]" * 300 + b"}",
    b'{"labels":[' + b"[]," * 1000 + b"0]}",
    rb'{"labels": ["\ud800"]}',
    rb'{"\udfff": 1}',
    b'{"labels": ["a"], "labels": 1}',
    b'{"top_k": 1' + b"0" * 5000 + b"}",
    b'{"top_k": 1e999}',
    b'{"top_k": -0}',
    b'\xef\xbb\xbf{"labels": ["a"]}',
    b'{"labels": ["\x00"]}',
    b'{"a": NaN}',
    b'"\\',
    b'{"labels": ["' + b'\\"' * 999 + b'"]}',
)
PIECES = st.sampled_from(
    [
        b"--XX\r\n",
        b"--XX--\r\n",
        b"\r\n",
        b'Content-Disposition: form-data; name="labels"',
        b'Content-Disposition: form-data; name="images"; filename="a.png"',
        b"Content-Disposition: form-data; name*=utf-8''%ff",
        b"Content-Type: text/plain; charset=utf-7",
        b"Content-Transfer-Encoding: base64",
        b"cat,dog",
        b'["cat", "dog"]',
        b'[[[["',
        b"GIF89a",
    ]
) | st.binary(max_size=12)


class Anything(BaseModel):
    """One known field."""

    labels: list[str] = []


def looked_at(client: TestClient, path: str, kind: str, body: bytes) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200 or 400 <= answer.status_code < 500, body
    assert len(answer.content) < 20_000
    if answer.status_code != 200:
        assert answer.json()["error"]["message"]


def with_seeds(test: Any) -> Any:
    for seed in SEEDS:
        test = example(body=seed)(test)
    return test


@with_seeds
@FUZZ
@given(body=st.binary(max_size=200) | OBJECTS.map(lambda made: json.dumps(made).encode()))
def test_parsing_fuzzed_json_fails_in_one_way_only(body: bytes) -> None:
    with contextlib.suppress(CandidError):
        parse_json(body, Anything)


@with_seeds
@FUZZ
@given(body=OBJECTS.map(lambda made: json.dumps(made).encode()))
def test_fuzzed_json_is_the_callers_error(client: TestClient, body: bytes) -> None:
    for path in ("/v1/classify", "/v1/embeddings", "/compat/huggingface", "/clip/compare"):
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code < 500, body


@PICTURES
@given(chance=st.randoms(use_true_random=True))
def test_a_fuzzed_picture_is_answered_or_the_callers_error(client: TestClient, chance: random.Random) -> None:
    name, picture = hostile.mutated(chance)
    answer = client.post(
        "/v1/classify?labels=cat&labels=dog", content=picture, headers={"Content-Type": "image/*"}
    )
    assert answer.status_code in (200, 422), name
    if answer.status_code == 422:
        assert answer.json()["error"]["code"] == "image_rejected", name


@FUZZ
@given(pieces=st.lists(PIECES, max_size=14))
@example(pieces=[b"--XX\r\n", b"\r\n", b"\r\n", b"--XX--\r\n"])
@example(
    pieces=[
        b"--XX\r\n",
        b'Content-Disposition: form-data; name="labels"',
        b"\r\n\r\n",
        b"[[[[",
        b"\r\n--XX--\r\n",
    ]
)
def test_a_fuzzed_form_is_the_callers_error(client: TestClient, pieces: list[bytes]) -> None:
    looked_at(client, "/v1/classify", FORM, b"".join(pieces))


@FUZZ
@given(values=st.lists(st.tuples(FIELDS, st.text(max_size=30)), max_size=8))
def test_fuzzed_fields_of_a_whole_form_are_the_callers_error(
    client: TestClient, values: list[tuple[str, str]]
) -> None:
    head = '--XX\r\nContent-Disposition: form-data; name="{}"\r\n\r\n'
    body = "".join(head.format(name) + value + "\r\n" for name, value in values) + "--XX--\r\n"
    looked_at(client, "/v1/classify", FORM, body.encode())
