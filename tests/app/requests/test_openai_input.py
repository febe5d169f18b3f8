"""What `/v1/embeddings` refuses, and where it says the fault is. What it takes: compat/test_openai.py."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.app.conftest import Serve

URI = "data:image/png;base64,AAAA"


def message(*parts: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(parts)}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": "a", "messages": [message({"type": "text", "text": "a"})]}, "input"),
        ({"input": []}, "input"),
        ({"input": " "}, "input"),
        ({"input": {}}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", None]}, "input[1]"),
        ({"input": [[1, 2]]}, "input[0]"),
        ({"input": [{"text": "a", "image": URI}]}, "input[0]"),
        ({"input": [{"audio": "a"}]}, "input[0]"),
        ({"input": [{"text": 1}]}, "input[0].text"),
        ({"input": [{"image": None}]}, "input[0].image"),
        ({"input": [{"image": "https://example.org/cat.jpg"}]}, "input[0].image"),
        ({"input": "a cat", "modality": "image"}, "input"),
        ({"input": "a cat", "modality": "audio"}, "modality"),
        ({"messages": []}, "messages"),
        ({"messages": "a cat"}, "messages"),
        ({"messages": [message()]}, "messages"),
        ({"messages": [message({"type": "text", "text": "a"}, role="system")]}, "messages"),
        ({"messages": [message({"type": "text", "text": "a"}, {"type": "text", "text": "b"})]}, "messages"),
        ({"messages": [message({"type": "text", "text": ""})]}, "messages[0].content[0].text"),
    ],
)
def test_refused_by_name(client: TestClient, body: dict[str, Any], field: str) -> None:
    response = client.post("/v1/embeddings", json=body)

    assert response.status_code == 422
    assert response.json()["error"]["field"] == field


def test_limits_count_texts_and_pictures_apart(serve: Serve) -> None:
    client = serve(max_images=2, max_labels=3, max_text_chars=5)

    def refusal(items: list[str]) -> str:
        return str(client.post("/v1/embeddings", json={"input": items}).json()["error"]["message"])

    assert "limit: max_images" in refusal([URI] * 3)
    assert "limit: max_labels" in refusal(["a"] * 4)
    assert "limit: max_labels" in refusal(["a"] * 6)
    assert "limit: max_text_chars" in refusal(["a", "abcdef"])
    assert "not a picture" in refusal(["a", "b", "c", URI, URI])  # no limit: they are looked at


def test_pictures_can_be_switched_off(serve: Serve) -> None:
    client = serve(compat=())

    refused = client.post("/v1/embeddings", json={"input": ["a cat", URI]})

    assert refused.status_code == 422
    assert "setting: compat" in refused.json()["error"]["message"]
    assert client.post("/v1/embeddings", json={"input": ["a cat"]}).status_code == 200
