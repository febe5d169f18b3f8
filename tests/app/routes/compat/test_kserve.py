"""KServe's v2 protocol, asked by tritonclient over HTTP with JSON and with binary tensors."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.app.conftest import Serve
from tests.app.routes.compat.conftest import KEY, Run

LABELS = ["a cat", "a dog", "a cat"]

ASK = """
import base64, json, sys
import numpy as np, tritonclient.http as http
from tritonclient.utils import InferenceServerException

address, model, labels = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
photograph = open("cat.jpg", "rb").read()

def tensor(name, values, binary):
    array = np.array(values, dtype=object)
    return http.InferInput(name, array.shape, "BYTES").set_data_from_numpy(array, binary_data=binary)

def words(call):
    try:
        call()
    except InferenceServerException as error:
        return [error.status(), error.message()]

with http.InferenceServerClient(address) as client:
    found = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": [client.is_model_ready(model), client.is_model_ready(model, "1")],
        "absent_ready": client.is_model_ready("absent"),
        "server": client.get_server_metadata(),
        "metadata": client.get_model_metadata(model),
        "metadata_1": client.get_model_metadata(model, "1"),
    }
    binary = client.infer(model, [tensor("IMAGE", [photograph] * 2, True), tensor("LABELS", labels, True)])
    found["binary"] = {name: binary.as_numpy(name).tolist() for name in ("SIMILARITY", "PROBABILITY")}
    asked = [http.InferRequestedOutput(name, binary_data=name == "SIMILARITY")
             for name in ("PROBABILITY", "IMAGE_EMBEDDING", "SIMILARITY")]
    picture = base64.b64encode(photograph).decode()
    mixed = client.infer(model, [tensor("IMAGE", [picture], False), tensor("LABELS", labels, True)],
                         outputs=asked, request_id="seven", model_version="1",
                         parameters={"template": "a drawing of a {}"})
    found["mixed"] = {output.name(): mixed.as_numpy(output.name()).tolist() for output in asked}
    found["response"] = mixed.get_response()
    texts = client.infer(model, [tensor("TEXT", [["a cat"], ["a dog"]], False)],
                         outputs=[http.InferRequestedOutput("TEXT_EMBEDDING", binary_data=False)])
    found["texts"] = texts.as_numpy("TEXT_EMBEDDING").tolist()
    text = tensor("TEXT", ["a"], True)
    found["errors"] = [
        words(lambda: client.infer("absent", [text])),
        words(lambda: client.infer(model, [tensor("IMAGE", [b"no picture"], True)])),
        words(lambda: client.infer(model, [tensor("AUDIO", ["a"], True)])),
        words(lambda: client.infer(model, [text], request_compression_algorithm="gzip")),
        words(lambda: client.get_model_metadata(model, "2")),
    ]
print(json.dumps(found))
"""

ASK_WITH_KEY = """
import json, sys
import tritonclient.http as http
address, model, key = sys.argv[1:]
with http.InferenceServerClient(address) as client:
    ready = [client.is_server_ready()]
    ready.append(client.is_model_ready(model))
    ready.append(client.is_model_ready(model, headers={"Authorization": f"Bearer {key}"}))
print(json.dumps(ready))
"""


def test_triton_client(
    python: Run, server: str, client: TestClient, classifier: Any, photographs: dict[str, bytes]
) -> None:
    name, dim = classifier.info.name, classifier.info.embed_dim

    found = json.loads(python(ASK, server.removeprefix("http://"), name, json.dumps(LABELS)))

    assert found["live"] and found["ready"] and found["model_ready"] == [True, True]
    assert not found["absent_ready"]
    assert found["server"]["extensions"] == ["binary_tensor_data"]
    assert found["metadata"] == found["metadata_1"]
    assert [tensor["name"] for tensor in found["metadata"]["inputs"]] == ["IMAGE", "TEXT", "LABELS"]
    shapes = {tensor["name"]: tensor["shape"] for tensor in found["metadata"]["outputs"]}
    assert shapes["IMAGE_EMBEDDING"] == shapes["TEXT_EMBEDDING"] == [-1, dim]

    similarities, probabilities = native_ranking(client, photographs["cat"])
    np.testing.assert_allclose(found["binary"]["SIMILARITY"], [similarities] * 2, atol=1e-5)
    np.testing.assert_allclose(found["binary"]["PROBABILITY"], [probabilities] * 2, atol=1e-5)

    similarities, probabilities = native_ranking(client, photographs["cat"], template="a drawing of a {}")
    np.testing.assert_allclose(found["mixed"]["SIMILARITY"], [similarities], atol=1e-5)
    np.testing.assert_allclose(found["mixed"]["PROBABILITY"], [probabilities], atol=1e-5)
    picture = client.post("/v1/embeddings/images", files={"images": photographs["cat"]}).json()["data"]
    np.testing.assert_allclose(found["mixed"]["IMAGE_EMBEDDING"], [picture[0]["embedding"]], atol=1e-6)
    assert (found["response"]["id"], found["response"]["model_version"]) == ("seven", "1")

    texts = client.post("/v1/embeddings", json={"input": ["a cat", "a dog"]}).json()["data"]
    np.testing.assert_allclose(found["texts"], [row["embedding"] for row in texts], atol=1e-6)

    statuses, messages = zip(*found["errors"], strict=True)
    assert statuses == ("404", "422", "422", "415", "404")
    for message, words in zip(
        messages, ("not loaded", "not a picture", "IMAGE, TEXT", "compressed", "one version"), strict=True
    ):
        assert words in message


def test_triton_client_with_a_key(python: Run, locked: str, classifier: Any) -> None:
    ready = python(ASK_WITH_KEY, locked.removeprefix("http://"), classifier.info.name, KEY)

    assert json.loads(ready) == [True, False, True]


def native_ranking(client: TestClient, cat: bytes, **fields: str) -> tuple[list[float], list[float]]:
    """Similarities and probabilities from the service's own route, in the order of LABELS."""
    data = {"labels": sorted(set(LABELS)), **fields}
    ranking = client.post("/v1/classify", data=data, files={"images": cat}).json()["results"][0]["ranking"]
    by_label = {rank["label"]: rank for rank in ranking}
    similarities, probabilities = (
        [by_label[label][part] for label in LABELS] for part in ("similarity", "probability")
    )
    return similarities, probabilities


def test_model_names_with_slashes(serve: Serve, classifier: Any) -> None:
    client = serve({"ViT-B-32/openai": classifier})

    assert client.get("/v2/models/ViT-B-32/openai").json()["name"] == "ViT-B-32/openai"
    assert client.get("/v2/models/ViT-B-32/openai/ready").json()["ready"]
    assert client.get("/v2/models/ViT-B-32/openai/versions/1/ready").json()["ready"]
    body = {"inputs": [{"name": "TEXT", "shape": [1], "datatype": "BYTES", "data": ["a cat"]}]}
    answer = client.post("/v2/models/ViT-B-32/openai/versions/1/infer", json=body).json()
    assert answer["outputs"][0]["shape"] == [1, classifier.info.embed_dim]


def test_unreadiness_shows(serve: Serve) -> None:
    from tests.app.fakes import FakeClassifier

    client = serve({"fake": FakeClassifier(is_ready=False)})

    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 503
    assert client.get("/v2/models/fake/ready").status_code == 503


def tensor(name: str, *data: Any, **fields: Any) -> dict[str, Any]:
    return {"name": name, "shape": [len(data)], "datatype": "BYTES", "data": data, **fields}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "inputs"),
        ({"inputs": []}, "send IMAGE, TEXT, or IMAGE and LABELS"),
        ({"inputs": [tensor("LABELS", "a")]}, "send IMAGE, TEXT, or IMAGE and LABELS"),
        ({"inputs": [tensor("TEXT")]}, "at least one element"),
        ({"inputs": [tensor("IMAGE"), tensor("TEXT", "a")]}, "at least one element"),
        ({"inputs": [tensor("TEXT", "a"), tensor("TEXT", "a")]}, "given once"),
        ({"inputs": [tensor("TEXT", "a", datatype="FP32")]}, "type BYTES"),
        ({"inputs": [tensor("TEXT", 1)]}, "list of texts"),
        ({"inputs": [tensor("TEXT", ["a"])]}, "list of texts"),
        ({"inputs": [tensor("TEXT", "a", data=None)]}, "list of texts"),
        ({"inputs": [tensor("TEXT", "a", shape=[2])]}, "does not fit its 1 elements"),
        ({"inputs": [tensor("TEXT", "a", shape=[-1])]}, "shape"),
        ({"inputs": [tensor("TEXT", "a", shape=[1] * 9)]}, "shape"),
        ({"inputs": [tensor("TEXT", "a", parameters={"binary_data_size": 5})]}, "binary_data_size"),
        ({"inputs": [tensor("TEXT", "a", parameters={"binary_data_size": "0"})]}, "binary_data_size"),
        ({"inputs": [tensor("TEXT", " ")]}, "inputs.TEXT[0] must be a text"),
        ({"inputs": [tensor("IMAGE", "AAAA"), tensor("LABELS")]}, "inputs.LABELS must be labels"),
        ({"inputs": [tensor("IMAGE", "https://example.org/cat.jpg")]}, "inputs.IMAGE[0] is a URL"),
        ({"inputs": [tensor("TEXT", "a")], "outputs": [{"name": "LOGITS"}]}, "TEXT_EMBEDDING"),
        (
            {
                "inputs": [tensor("TEXT", "a")],
                "outputs": [{"name": "TEXT_EMBEDDING", "parameters": {"classification": 2}}],
            },
            "only binary_data is known",
        ),
        ({"inputs": [tensor("TEXT", "a")], "parameters": {"template": 1}}, "parameters.template"),
        ({"inputs": [tensor("TEXT", *["a"] * 10_001)]}, "more than 10000 elements"),
        ({"inputs": [tensor("IMAGE", *["AAAA"] * 65)]}, "65 entries; at most 64 (limit: max_images)"),
        ({"inputs": [tensor("TEXT", "a")] * 17}, "at most 16 items"),
    ],
)
def test_what_cannot_be_used_is_named(
    client: TestClient, classifier: Any, body: dict[str, Any], words: str
) -> None:
    response = client.post(f"/v2/models/{classifier.info.name}/infer", json=body)

    assert response.status_code == 422
    assert words in response.json()["error"]


@pytest.mark.parametrize(
    ("behind", "header", "status"),
    [
        (b"\x05\0\0\0a cat", None, 200),
        (b"\x06\0\0\0a cat", None, 422),  # an element that leads past the end
        (b"\x05\0\0\0a ca\xff", None, 422),  # no UTF-8
        (b"\x05\0", None, 422),
        (b"", None, 422),
        (b"\x05\0\0\0a cat", "99999", 400),
        (b"\x05\0\0\0a cat", "-1", 400),
        (b"\x05\0\0\0a cat", "ten", 400),
        (b"\x05\0\0\0a cat", "9" * 5000, 400),
        (b"\0\0\0\0" * 10_001, None, 422),
    ],
)
def test_binary_tensors_are_read_with_care(
    client: TestClient, classifier: Any, behind: bytes, header: str | None, status: int
) -> None:
    described = tensor("TEXT", "", parameters={"binary_data_size": len(behind)})
    del described["data"]
    head = json.dumps({"inputs": [described]}).encode()

    response = client.post(
        f"/v2/models/{classifier.info.name}/infer",
        content=head + behind,
        headers={"Inference-Header-Content-Length": header or str(len(head))},
    )

    assert response.status_code == status
    assert ("error" in response.json()) == (status != 200)


def test_json_alone(client: TestClient, classifier: Any, cat: bytes) -> None:
    picture = base64.b64encode(cat).decode()
    body = {"inputs": [tensor("IMAGE", picture), tensor("LABELS", "a cat", "a dog"), tensor("TEXT", "a cat")]}

    answer = client.post(f"/v2/models/{classifier.info.name}/infer", json=body).json()

    outputs = {output["name"]: output for output in answer["outputs"]}
    assert set(outputs) == {"SIMILARITY", "PROBABILITY", "TEXT_EMBEDDING"}
    assert outputs["PROBABILITY"]["shape"] == [1, 2]
    assert sum(outputs["PROBABILITY"]["data"]) == pytest.approx(1)
