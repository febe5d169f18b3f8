"""POST /v1/embeddings and /v1/embeddings/images as their callers see them."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient


def test_texts_in_openais_shape(client: TestClient) -> None:
    answer = client.post("/v1/embeddings", json={"input": ["a cat", "a dog"], "user": "somebody"}).json()

    assert answer["object"] == "list"
    assert [row["index"] for row in answer["data"]] == [0, 1]
    assert all(row["object"] == "embedding" for row in answer["data"])
    vectors = np.array([row["embedding"] for row in answer["data"]])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 2


def test_base64_is_the_same_vector_in_little_endian_float32(client: TestClient) -> None:
    # openai-python asks for base64 when its caller names nothing.
    floats = client.post("/v1/embeddings", json={"input": "a cat"}).json()["data"][0]["embedding"]
    packed = client.post("/v1/embeddings", json={"input": "a cat", "encoding_format": "base64"}).json()
    vector = np.frombuffer(base64.b64decode(packed["data"][0]["embedding"]), dtype="<f4")
    np.testing.assert_allclose(vector, floats, atol=1e-6)


def test_pictures_live_in_the_same_space_as_texts(client: TestClient, cat: bytes) -> None:
    picture = client.post("/v1/embeddings/images", files={"images": ("cat.jpg", cat)}).json()
    text = client.post("/v1/embeddings", json={"input": "cat"}).json()
    form = {"labels": "cat", "template": "plain"}
    answer = client.post("/v1/classify", files={"images": cat}, data=form).json()

    row = picture["data"][0]
    assert (row["name"], row["width"], row["height"]) == ("cat.jpg", 451, 300)
    cosine = float(np.dot(row["embedding"], text["data"][0]["embedding"]))
    assert cosine == pytest.approx(answer["results"][0]["ranking"][0]["similarity"], abs=1e-4)


def test_an_unreadable_picture_among_several_gets_its_own_error(client: TestClient, cat: bytes) -> None:
    files = [("images", ("a", b"no picture")), ("images", ("b", cat))]
    bad, good = client.post("/v1/embeddings/images", files=files).json()["data"]
    assert bad["embedding"] is None and bad["error"]["reason"] == "not_an_image"
    assert good["embedding"]


def test_a_text_that_is_cut_is_named(client: TestClient) -> None:
    answer = client.post("/v1/embeddings", json={"input": ["short", "long " * 300]}).json()
    [warning] = answer["warnings"]
    assert warning.startswith("input[1] is cut")


@pytest.mark.parametrize(
    ("question", "field", "words"),
    [
        ({}, "input", "required"),
        ({"input": []}, "input", "not empty"),
        ({"input": ""}, "input", "not empty"),
        ({"input": ["a", " "]}, "input[1]", "not empty"),
        ({"input": [1, 2]}, "input[0]", "send text"),
        ({"input": [[1, 2]]}, "input[0]", "send text"),
        ({"input": None}, "input", "text"),
        ({"input": "a\0b"}, "input", "NUL"),
        ({"input": "x" * 4001}, "input", "limit: max_text_chars"),
        ({"input": "a", "dimensions": 7}, "dimensions", "left out"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format", "'float' or 'base64'"),
        ({"input": "a", "inputs": "b"}, "inputs", "not a field"),
    ],
)
def test_a_wrong_field_is_named(client: TestClient, question: dict[str, Any], field: str, words: str) -> None:
    answer = client.post("/v1/embeddings", json=question)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize("model", ["", "text-embedding-3-small"])
def test_another_models_name_is_never_answered_by_a_substitute(client: TestClient, model: str) -> None:
    answer = client.post("/v1/embeddings", json={"input": "a", "model": model})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "unknown_model"


def test_no_picture_is_an_error(client: TestClient) -> None:
    answer = client.post("/v1/embeddings/images", json={"images": []})
    assert answer.status_code == 422 and answer.json()["error"]["field"] == "images"
