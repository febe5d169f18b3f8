"""Immich's server as its client: the same fetch with the same FormData, in Node."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.app.conftest import Serve
from tests.app.routes.compat.conftest import KEY, run

# Immich's server is no package to install. This is what its machine-learning repository does: a FormData of
# `entries` and of a Blob without a name or of a text, sent by Node's own fetch.
ASK = """
import { readFile } from "node:fs/promises";
const [url, modelName] = process.argv.slice(1);
async function predict(entries, input) {
  const form = new FormData();
  form.append("entries", JSON.stringify(entries));
  for (const [name, value] of Object.entries(input)) form.append(name, value);
  const response = await fetch(new URL("/predict", url), { method: "POST", body: form });
  return { status: response.status, body: await response.json() };
}
const image = new Blob([await readFile("cat.jpg")]);
const ping = await fetch(new URL("/ping", url));
const options = { language: "de" };
const faces = { detection: { modelName, options: { minScore: 0.7 } }, recognition: { modelName } };
console.log(JSON.stringify({
  ping: [ping.ok, await ping.text()],
  visual: await predict({ clip: { visual: { modelName } } }, { image }),
  textual: await predict({ clip: { textual: { modelName, options } } }, { text: "a cat" }),
  other: await predict({ clip: { visual: { modelName: "ViT-L-14__openai" } } }, { image }),
  faces: await predict({ "facial-recognition": faces }, { image }),
  ocr: await predict({ ocr: { detection: { modelName }, recognition: { modelName } } }, { image }),
}));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_immichs_requests(server: str, client: TestClient, classifier: Any, cat: bytes, folder: Path) -> None:
    command = ["node", "--input-type=module", "-e", ASK, server, classifier.info.name]

    found = json.loads(run(command, folder))

    assert found["ping"] == [True, "pong"]
    picture = client.post("/v1/embeddings/images", files={"images": cat}).json()["data"][0]
    visual = found["visual"]["body"]
    assert isinstance(visual["clip"], str)
    assert json.loads(visual["clip"]) == pytest.approx(picture["embedding"], abs=1e-6)
    assert (visual["imageWidth"], visual["imageHeight"]) == (picture["width"], picture["height"])
    text = client.post("/v1/embeddings", json={"input": "a cat"}).json()["data"][0]
    assert json.loads(found["textual"]["body"]["clip"]) == pytest.approx(text["embedding"], abs=1e-6)
    assert found["textual"]["body"].keys() == {"clip"}
    assert found["other"]["status"] == 404
    assert "'ViT-L-14/openai' is not loaded" in found["other"]["body"]["detail"]
    for task, name in (("faces", "facial-recognition"), ("ocr", "ocr")):
        assert found[task]["status"] == 422  # Immich then asks the next service of its list
        assert name in found[task]["body"]["detail"]


def test_immichs_names_of_models(serve: Serve, classifier: Any, cat: bytes) -> None:
    client = serve({"ViT-B-32/openai": classifier})

    def status(name: str) -> int:
        entries = {"clip": {"visual": {"modelName": name}}}
        return client.post(
            "/predict", data={"entries": json.dumps(entries)}, files={"image": cat}
        ).status_code

    assert status("ViT-B-32__openai") == 200
    assert status("ViT-B-32__laion2b_s34b_b79k") == 404
    assert status("ViT-B-32") == 404


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        (None, 400),
        ("", 400),
        ("{", 400),
        ("[]", 422),
        ("{}", 422),
        ('{"clip": {}}', 422),
        ('{"clip": {"visual": {}}}', 422),
        ('{"clip": {"visual": {"modelName": "m"}, "textual": {"modelName": "m"}}}', 422),
        ('{"clip": {"visual": {"modelName": "m"}}}', 400),  # the form has a text and no image
        ('{"clip": {"textual": {"modelName": "m"}}, "ocr": {}}', 422),
    ],
)
def test_what_cannot_be_used(client: TestClient, entries: str | None, status: int) -> None:
    fields = {} if entries is None else {"entries": entries}

    response = client.post("/predict", data={**fields, "text": "a cat"}, files={"other": b"file"})

    assert response.status_code == status
    assert response.json()["detail"]


def test_key(serve: Serve) -> None:
    client = serve(api_keys=(KEY,))

    assert client.get("/ping").text == "pong"
    assert client.post("/predict").status_code == 401
    assert client.post("/predict", headers={"Authorization": f"Bearer {KEY}"}).status_code == 415
