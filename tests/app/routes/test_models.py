from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import models
from app.main import create_app
from app.settings import Settings
from tests.server import Server
from tests.small import small_model


def test_openais_list_with_what_a_person_wants_to_know(client: TestClient, classifier: Any) -> None:
    answer = client.get("/v1/models").json()
    assert answer["object"] == "list"
    [model] = answer["data"]
    assert model["id"] == classifier.info.name
    assert (model["object"], model["owned_by"], model["ready"]) == ("model", "candid", True)
    assert model["created"] > 1_700_000_000
    assert model.keys() >= {"architecture", "embed_dim", "image_size", "context_length", "licence"}
    assert model.keys() >= {"device", "precision", "imagenet_top1", "accuracy_source", "note"}


def test_it_says_what_runs_the_towers(server: Server) -> None:
    """A service as it is started by default has OpenVINO, because the development tools do."""
    with urllib.request.urlopen(f"{server.url}/v1/models") as answer:
        [model] = json.load(answer)["data"]
    assert (model["device"], model["encoder"]) == ("cpu", "openvino")
    assert "ready on cpu (fp32, openvino)" in server.log.read_text()


@pytest.mark.slow
def test_it_says_that_torch_runs_them_where_there_is_no_place_for_exports(tmp_path: Path) -> None:
    loaded = models.load(str(small_model(tmp_path / "small")))
    settings = Settings(database_url=f"sqlite:///{tmp_path}/candid.db")
    with TestClient(create_app(settings, {"small": loaded})) as client:
        [model] = client.get("/v1/models").json()["data"]
    loaded.close()
    assert model["encoder"] == "torch"


@pytest.mark.slow
def test_an_encoder_that_cannot_be_had_is_an_error_at_start(tmp_path: Path) -> None:
    started = Server(tmp_path, encoder="openvino", precision="fp16", device="cpu")
    assert started.process.wait(timeout=60) == 1
    assert "encoder 'openvino' was asked for, but the precision is 'fp16'" in started.log.read_text()
