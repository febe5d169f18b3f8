"""Words of Candid's own: listed, ranked in place of labels, ready before anybody asks."""

from __future__ import annotations

import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from models.labels.vocabularies import NAMES
from tests.app.conftest import Serve


def ask(client: TestClient, picture: bytes, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/classify", files={"images": picture}, data=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_each_is_listed_with_its_source(client: TestClient) -> None:
    listed = client.get("/v1/vocabularies").json()["data"]
    assert [each["name"] for each in listed] == list(NAMES)
    for each in listed:
        assert each["source"] and each["licence"]
        words = client.get(f"/v1/vocabularies/{each['name']}").json()["labels"]
        assert len(words) == len(set(words)) == each["labels"]
        assert all(word == word.strip() and not word.startswith("#") for word in words)
    assert client.get("/v1/vocabularies/smells").status_code == 422


@pytest.mark.parametrize(
    ("shown", "name", "among"),
    [("cat", "things", "cat"), ("coffee cup", "things", "coffee cup"), ("cat", "imagenet-1k", "tabby cat")],
)
def test_a_photograph_is_tagged(
    client: TestClient, photographs: dict[str, bytes], shown: str, name: str, among: str
) -> None:
    answer = ask(client, photographs[shown], vocabulary=name, mode="multi", reject="true")
    assert (answer["vocabulary"], answer["mode"]) == (name, "multi")
    [result] = answer["results"]
    assert len(result["ranking"]) == 10
    assert among in [place["label"] for place in result["ranking"][:3] if place["holds"]]
    assert result["rejection"]["score"] > 0


def test_it_answers_as_its_words_do(client: TestClient, cat: bytes) -> None:
    listed = client.get("/v1/vocabularies").json()["data"]
    template = next(each["template"] for each in listed if each["name"] == "textures")
    words = client.get("/v1/vocabularies/textures").json()["labels"]
    by_name = ask(client, cat, vocabulary="textures", top_k=60)
    by_words = ask(client, cat, labels=words, template=template)
    assert by_name["results"] == by_words["results"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"vocabulary": "smells"}, "vocabulary"),
        ({"vocabulary": "things", "labels": "cat"}, "vocabulary"),
        ({"vocabulary": "things", "label_set": "pets"}, "vocabulary"),
        ({"vocabulary": "things", "domain": "x" * 61}, "domain"),
        ({"vocabulary": "things", "template": "no slot"}, "template"),
    ],
)
def test_what_does_not_fit_together_is_named(
    client: TestClient, cat: bytes, fields: dict[str, str], field: str
) -> None:
    answer = client.post("/v1/classify", files={"images": cat}, data=fields)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)


def test_more_answers_than_there_may_be_are_refused(serve: Serve) -> None:
    client = serve(max_images=2000)
    vector = [1.0] + [0.0] * 383
    body = {"embeddings": [vector] * 700, "vocabulary": "things", "top_k": 1680}
    answer = client.post("/v1/classify", json=body)
    assert (answer.status_code, "at most 1000000" in answer.text) == (422, True)


def test_all_are_ready_before_anybody_asks(classifier: Any, cat: bytes) -> None:
    settings = Settings(warm_vocabularies=True)
    with TestClient(create_app(settings, {classifier.info.name: classifier})) as client:

        def encoded() -> float:
            lines = client.get("/metrics").text.splitlines()
            return next(
                float(line.split()[-1]) for line in lines if line.startswith("candid_texts_encoded_total")
            )

        before, deadline = -1.0, time.monotonic() + 60
        while encoded() != before and time.monotonic() < deadline:
            before = encoded()
            time.sleep(1.0)
        for name in NAMES:
            ask(client, cat, vocabulary=name, mode="multi", reject="true")
        assert encoded() == before > 3000
