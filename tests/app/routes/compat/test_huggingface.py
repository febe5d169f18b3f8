"""zero-shot-image-classification, asked for by huggingface_hub and by @huggingface/inference."""

from __future__ import annotations

import base64
import json

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from starlette.testclient import TestClient

from tests.app.routes.compat.conftest import KEY, Run

LABELS = ["a cat", "a dog", "a rocket"]
PATH = "/compat/huggingface"

ASK = """
import { readFile } from "node:fs/promises";
import { InferenceClient } from "@huggingface/inference";
const [endpointUrl, key, labels] = process.argv.slice(1);
const client = new InferenceClient(key, { endpointUrl, retry_on_error: false });
const inputs = { image: new Blob([await readFile("cat.jpg")]) };
const parameters = { candidate_labels: JSON.parse(labels) };
try {
  console.log(JSON.stringify(await client.zeroShotImageClassification({ inputs, parameters })));
} catch (error) {
  console.log(JSON.stringify({ message: error.message, status: error.httpResponse?.status }));
}
"""


@pytest.fixture
def ranking(client: TestClient, cat: bytes) -> list[tuple[str, float]]:
    """What the service's own route says, with Hugging Face's default template."""
    fields = {"labels": LABELS, "template": "This is a photo of {}."}
    results = client.post("/v1/classify", data=fields, files={"images": cat}).json()["results"]
    return [(rank["label"], pytest.approx(rank["probability"], rel=1e-4)) for rank in results[0]["ranking"]]


def test_python_client(server: str, cat: bytes, ranking: list[tuple[str, float]]) -> None:
    with InferenceClient() as asking:
        found = asking.zero_shot_image_classification(cat, LABELS, model=server + PATH)

    assert [(element.label, element.score) for element in found] == ranking


def test_python_client_with_a_template_and_a_model(server: str, cat: bytes, classifier) -> None:
    model = f"{server}{PATH}/{classifier.info.name}"
    with InferenceClient(model=model) as asking:
        usual = asking.zero_shot_image_classification(cat, LABELS)
        other = asking.zero_shot_image_classification(cat, LABELS, hypothesis_template="a drawing of {}")

    assert sum(element.score for element in other) == pytest.approx(1)
    assert {element.label: element.score for element in other} != {
        element.label: element.score for element in usual
    }


def test_python_client_shows_our_words(server: str, cat: bytes) -> None:
    with InferenceClient() as asking:
        with pytest.raises(HfHubHTTPError, match="the bytes are not a picture"):
            asking.zero_shot_image_classification(b"no picture", LABELS, model=server + PATH)
        with pytest.raises(HfHubHTTPError, match="model 'absent' is not loaded"):
            asking.zero_shot_image_classification(cat, LABELS, model=f"{server}{PATH}/absent")
        with pytest.raises(HfHubHTTPError, match=r"must hold \{\} exactly once"):
            asking.zero_shot_image_classification(
                cat, LABELS, model=server + PATH, hypothesis_template="a photo"
            )


def test_python_client_with_a_key(locked: str, cat: bytes) -> None:
    with InferenceClient(token=KEY) as asking:
        assert len(asking.zero_shot_image_classification(cat, LABELS, model=locked + PATH)) == 3
    with (
        InferenceClient(token="another-key") as asking,
        pytest.raises(HfHubHTTPError, match="send one of the service's keys"),
    ):
        asking.zero_shot_image_classification(cat, LABELS, model=locked + PATH)


def test_javascript_client(node: Run, server: str, ranking: list[tuple[str, float]]) -> None:
    found = json.loads(node(ASK, server + PATH, "", json.dumps(LABELS)))

    assert [(element["label"], element["score"]) for element in found] == ranking


def test_javascript_client_with_a_key(node: Run, locked: str) -> None:
    found, refused = (
        json.loads(node(ASK, locked + PATH, key, json.dumps(LABELS))) for key in (KEY, "another")
    )

    assert len(found) == 3
    assert refused["status"] == 401
    assert "send one of the service's keys" in refused["message"]


@pytest.mark.parametrize("field", ["inputs", "image"])
def test_older_shapes(client: TestClient, cat: bytes, field: str) -> None:
    body = {field: base64.b64encode(cat).decode(), "parameters": {"candidate_labels": "a cat, a dog"}}

    answer = client.post(PATH, json=body).json()

    assert {element["label"] for element in answer} == {"a cat", "a dog"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"parameters": {"candidate_labels": ["a"]}}, "inputs"),
        ({"inputs": {"image": 1}, "parameters": {"candidate_labels": ["a"]}}, "inputs.image"),
        ({"inputs": "AAAA", "parameters": {"candidate_labels": []}}, "parameters.candidate_labels"),
        ({"inputs": "AAAA", "parameters": {"candidate_labels": [" "]}}, "parameters.candidate_labels"),
        ({"inputs": "AAAA", "parameters": {"candidate_labels": 7}}, "parameters.candidate_labels"),
        (
            {"inputs": "AAAA", "parameters": {"candidate_labels": [{"label": "a"}]}},
            "parameters.candidate_labels[0]",
        ),
        ({"inputs": "AAAA"}, "parameters"),
    ],
)
def test_what_cannot_be_used_is_named(client: TestClient, body: dict[str, object], field: str) -> None:
    response = client.post(PATH, json=body)

    assert response.status_code == 422
    assert response.json()["field"] == field
    assert field in response.json()["error"]
