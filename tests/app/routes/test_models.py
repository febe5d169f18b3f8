from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient


def test_openais_list_with_what_a_person_wants_to_know(client: TestClient, classifier: Any) -> None:
    answer = client.get("/v1/models").json()
    assert answer["object"] == "list"
    [model] = answer["data"]
    assert model["id"] == classifier.info.name
    assert (model["object"], model["owned_by"], model["ready"]) == ("model", "candid", True)
    assert model["created"] > 1_700_000_000
    assert model.keys() >= {"architecture", "embed_dim", "image_size", "context_length", "licence"}
    assert model.keys() >= {"device", "precision", "imagenet_top1", "accuracy_source", "note"}
