"""Broken, odd and hostile bodies: whatever is sent, the answer is a 4xx in the envelope."""

from __future__ import annotations

import json
import random

import pytest
from pydantic import BaseModel
from starlette.testclient import TestClient

from app.requests.body import decode_base64, parse_json
from models.errors import CandidError, ImageRejected

JSON = "application/json"
FORM = "multipart/form-data; boundary=XX"


def part(name: str, value: bytes, extra: str = "") -> bytes:
    head = f'--XX\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
    return head.encode("utf-8", "surrogateescape") + value + b"\r\n"


BODIES: dict[str, tuple[str, bytes]] = {
    "empty json": (JSON, b""),
    "a list": (JSON, b"[]"),
    "a number": (JSON, b"1"),
    "null": (JSON, b"null"),
    "NaN": (JSON, b'{"labels": ["a"], "images": ["AAAA"], "top_k": NaN}'),
    "infinity in a vector": (JSON, b'{"labels": ["a"], "embeddings": [[1e999]]}'),
    "a huge number in a vector": (JSON, b'{"labels": ["a"], "embeddings": [[1%b]]}' % (b"0" * 400)),
    "a huge integer": (JSON, b'{"top_k": 1' + b"0" * 5000 + b"}"),
    "a large integer": (JSON, b'{"labels":["a"],"images":["AAAA"],"top_k": 1' + b"0" * 300 + b"}"),
    "deep nesting": (JSON, b'{"labels":' + b"[" * 100_000),
    "deep nesting that ends": (JSON, b'{"labels":' + b"[" * 150 + b"]" * 150 + b"}"),
    "half a surrogate pair": (JSON, rb'{"labels": ["\ud800"], "images": ["AAAA"]}'),
    "half a pair as a key": (JSON, rb'{"\ud800": 1}'),
    "not UTF-8": (JSON, b'{"labels": ["\xff"]}'),
    "UTF-16": (JSON, json.dumps({"labels": ["a"]}).encode("utf-16")),
    "NUL": (JSON, rb'{"labels": ["\u0000"], "images": ["AAAA"]}'),
    "a long unknown field": (JSON, b'{"' + b"x" * 100_000 + b'": 1}'),
    "no boundary": ("multipart/form-data", part("labels", b"a")),
    "an empty boundary": ("multipart/form-data; boundary=", part("labels", b"a")),
    "a wrong boundary": ("multipart/form-data; boundary=YY", part("labels", b"a")),
    "a boundary that is not ASCII": ("multipart/form-data; boundary=\u00fc", part("labels", b"a")),
    "an unfinished form": (FORM, part("labels", b"a")),
    "a form without a part": (FORM, b"--XX--\r\n"),
    "a part without a name": (FORM, b"--XX\r\nContent-Disposition: form-data\r\n\r\na\r\n--XX--\r\n"),
    "a part without a head": (FORM, b"--XX\r\n\r\na\r\n--XX--\r\n"),
    "a head without an end": (FORM, b"--XX\r\nContent-Disposition: form-data; name=" + b"x" * 100_000),
    "too many parts": (FORM, part("labels", b"a") * 11_000 + b"--XX--\r\n"),
    "too many files": (FORM, part("images", b"a", '; filename="a"') * 70 + b"--XX--\r\n"),
    "a huge text": (FORM, part("labels", b"a" * (5 << 20)) + b"--XX--\r\n"),
    "NUL in a form": (FORM, part("labels", b"\0") + part("images", b"a", '; filename="a"') + b"--XX--\r\n"),
    "a slow charset": (f"{FORM}; charset=punycode", part("labels", b"a-" * 1000) + b"--XX--\r\n"),
    "a charset with halves": (f"{FORM}; charset=utf-7", part("labels", b"+2AA-") + b"--XX--\r\n"),
    "no such charset": (f"{FORM}; charset=none", part("labels", b"a") + b"--XX--\r\n"),
    "an empty picture": ("image/jpeg", b""),
    "a type without a subtype": ("image", b"a"),
    "an odd type": (";;;=", b"a"),
}


@pytest.mark.parametrize("path", ["/v1/classify", "/v1/embeddings", "/v1/embeddings/images"])
@pytest.mark.parametrize("body", BODIES)
def test_a_broken_body_is_the_callers_error(client: TestClient, path: str, body: str) -> None:
    kind, content = BODIES[body]
    answer = client.post(path, content=content, headers={b"Content-Type": kind.encode("latin-1")})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]["message"]
    assert len(answer.content) < 4000


def test_mutated_bodies_never_break_the_service(client: TestClient) -> None:
    dice = random.Random(7)
    good = [
        (JSON, b'{"images": ["AAAA"], "labels": ["a", "b"], "template": ["{}"], "top_k": 1}'),
        (FORM, part("labels", b"a,b") + part("images", b"GIF8", '; filename="a"') + b"--XX--\r\n"),
    ]
    for _ in range(150):
        kind, body = dice.choice(good)
        changed = bytearray(body)
        for _ in range(dice.randint(1, 8)):
            place = dice.randrange(len(changed))
            changed[place : place + dice.randint(0, 3)] = dice.randbytes(dice.randint(0, 3))
            changed = changed or bytearray(b"x")
        answer = client.post("/v1/classify", content=bytes(changed), headers={"Content-Type": kind})
        assert 400 <= answer.status_code < 500, bytes(changed)


def test_odd_queries_never_break_the_service(client: TestClient) -> None:
    for query in ("labels=%ff", "labels=%00", "labels=a&top_k=%zz", "%", "&&&", "labels=" + "a," * 20_000):
        answer = client.post(f"/v1/classify?{query}", content=b"x", headers={"Content-Type": "image/png"})
        assert 400 <= answer.status_code < 500


class _Anything(BaseModel):
    labels: list[str] = []


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"labels": 1}', b'{"labels": ["\xed\xa0\x80"]}'])
def test_parse_json_raises_only_what_the_table_knows(body: bytes) -> None:
    with pytest.raises(CandidError):
        parse_json(body, _Anything)


@pytest.mark.parametrize("head", ["", "data:image/png;base64,", "DATA:;base64,", "data:image/a;x=y;base64,"])
def test_base64_and_data_uris(head: str) -> None:
    assert decode_base64(head + "AAAA", max_bytes=3, what="images[0]") == b"\0\0\0"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("AAA", "not_an_image"),  # no padding
        ("AA\nAA", "not_an_image"),
        ("AA A", "not_an_image"),
        ("____", "not_an_image"),  # the URL alphabet
        ("ÄÄÄÄ", "not_an_image"),
        ("data:image/png;base64", "not_an_image"),
        ("data:text/plain,AAAA", "not_an_image"),
        ("https://example.com/a.png", "not_an_image"),
        ("AAAA" * 3, "too_many_bytes"),
    ],
)
def test_other_text_is_a_rejected_picture(text: str, reason: str) -> None:
    with pytest.raises(ImageRejected) as caught:
        decode_base64(text, max_bytes=3, what="images[0]")
    assert caught.value.reason == reason
