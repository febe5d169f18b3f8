"""The CLIP routes of Roboflow inference, asked by inference-sdk."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.app.conftest import Serve
from tests.app.routes.compat.conftest import KEY, Run

ASK = """
import json, sys
from inference_sdk import InferenceConfiguration, InferenceHTTPClient
from inference_sdk.http.errors import HTTPCallErrorError

url, locked, key = sys.argv[1:]
client = InferenceHTTPClient(api_url=url, api_key=key)

def words(call):
    try:
        call()
    except HTTPCallErrorError as error:
        return [error.status_code, error.api_message]

found = {
    "compare": client.clip_compare("cat.jpg", ["a cat", "a dog"]),
    "texts": client.clip_compare("a cat", "a dog", subject_type="text", prompt_type="text"),
    "pictures": client.clip_compare("a cat", ["cat.jpg"] * 2, subject_type="text", prompt_type="image"),
    "image": client.get_clip_image_embeddings("cat.jpg"),
    "images": client.get_clip_image_embeddings(["cat.jpg", "cat.jpg"]),
    "text": client.get_clip_text_embeddings(["a cat", "a dog"]),
    "errors": [
        words(lambda: client.clip_compare("cat.jpg", ["a cat"], clip_version="ViT-B-16")),
        words(lambda: client.clip_compare("AAAA", ["a cat"])),
    ],
}
client = InferenceHTTPClient(api_url=locked, api_key=key)
found["errors"].append(words(lambda: client.get_clip_text_embeddings("a cat")))
client.configure(InferenceConfiguration(api_key_transport="header"))
found["with_key"] = len(client.get_clip_text_embeddings("a cat")["embeddings"])
print(json.dumps(found))
"""


def test_inference_sdk(python: Run, server: str, locked: str, client: TestClient, cat: bytes) -> None:
    found = json.loads(python(ASK, server, locked, KEY))

    picture = np.array(
        client.post("/v1/embeddings/images", files={"images": cat}).json()["data"][0]["embedding"]
    )
    texts = client.post("/v1/embeddings", json={"input": ["a cat", "a dog"]}).json()["data"]
    cat_words, dog_words = (np.array(row["embedding"]) for row in texts)
    assert found["compare"]["similarity"] == pytest.approx(
        [picture @ cat_words, picture @ dog_words], abs=1e-5
    )
    assert found["texts"]["similarity"] == pytest.approx([cat_words @ dog_words], abs=1e-5)
    assert found["pictures"]["similarity"] == pytest.approx([picture @ cat_words] * 2, abs=1e-5)
    assert found["image"]["embeddings"][0] == pytest.approx(picture.tolist(), abs=1e-6)
    assert [one["embeddings"][0] for one in found["images"]] == [found["image"]["embeddings"][0]] * 2
    assert found["text"]["embeddings"][1] == pytest.approx(dog_words.tolist(), abs=1e-6)

    (absent, absent_words), (unreadable, unreadable_words), (keyless, key_words) = found["errors"]
    assert (absent, unreadable, keyless) == (404, 422, 401)
    assert "'ViT-B-16/openai' is not loaded" in absent_words
    assert "not a picture" in unreadable_words
    assert "Authorization: Bearer" in key_words
    assert found["with_key"] == 1


@pytest.mark.parametrize("version", ["ViT-L-14-336px", "ViT-L-14-336/openai"])
def test_versions_are_openais_models(serve: Serve, classifier: Any, version: str) -> None:
    client = serve({"fallback": classifier, "ViT-L-14-336/openai": classifier})

    body = {"text": "a cat", "clip_version_id": version}

    assert client.post("/clip/embed_text", json=body).status_code == 200


def test_prompts_with_names_keep_them(client: TestClient) -> None:
    body = {"subject": "a cat", "subject_type": "text", "prompt": {"pet": "a cat", "sky": "a rocket"}}

    similarity = client.post("/clip/compare", json=body).json()["similarity"]

    assert similarity["pet"] == pytest.approx(1, abs=1e-4)
    assert similarity["sky"] < 1


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("compare", {"prompt": "a"}, "subject"),
        ("compare", {"subject": "a", "subject_type": "audio", "prompt": "a"}, "subject_type"),
        ("compare", {"subject": "a", "subject_type": "text", "prompt": []}, "prompt"),
        ("compare", {"subject": "a", "subject_type": "text", "prompt": {}}, "prompt"),
        ("compare", {"subject": "a", "subject_type": "text", "prompt": ["b", ""]}, "prompt[1]"),
        ("embed_image", {"image": []}, "image"),
        ("embed_image", {"image": "AAAA"}, "image"),
        ("embed_image", {"image": {"type": "url", "value": "https://example.org/cat.jpg"}}, "image"),
        ("embed_image", {"image": {"type": "numpy", "value": "gASVAAAA"}}, "image"),
        ("embed_image", {"image": [{"type": "base64", "value": 1}]}, "image.value"),
        ("embed_text", {"text": None}, "text"),
        ("embed_text", {}, "text"),
    ],
)
def test_what_cannot_be_used_is_named(
    client: TestClient, path: str, body: dict[str, Any], field: str
) -> None:
    response = client.post(f"/clip/{path}", json=body)

    assert response.status_code == 422
    assert response.json()["field"] == field
    assert response.json()["message"]
