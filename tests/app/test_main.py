from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app import main
from app.main import create_app
from app.model_loading import load_options
from app.settings import Settings
from models.errors import ModelUnavailable
from models.pretrained.files import EMBEDDED_DIR
from tests.app.conftest import Serve
from tests.app.fakes import FakeClassifier


class Closable(FakeClassifier):
    closed = False

    def close(self, *, drain_s: float = 0.0) -> None:
        self.closed = True


def test_models_are_loaded_when_the_service_starts_and_closed_when_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = Closable()
    monkeypatch.setattr(main, "load_all", lambda settings: {"fake": loaded})
    app = create_app(Settings())
    with TestClient(app) as client:
        assert client.get("/readyz").json()["models"] == {"fake": True}
        assert not loaded.closed
    assert loaded.closed


def test_models_that_were_handed_in_stay_open() -> None:
    handed_in: Any = Closable()
    with TestClient(create_app(Settings(), {"fake": handed_in})) as client:
        assert client.get("/healthz").status_code == 200
    assert not handed_in.closed


def test_two_services_in_one_process_count_for_themselves(serve: Serve) -> None:
    first, second = serve({"fake": FakeClassifier()}), serve({"fake": FakeClassifier()})
    first.get("/healthz")
    assert "/healthz" in first.get("/metrics").text
    assert "/healthz" not in second.get("/metrics").text


def test_only_named_origins_may_ask_from_a_browser(serve: Serve) -> None:
    client = serve({"fake": FakeClassifier()}, cors_origins=["https://a.example"], api_keys=["correct-horse"])
    friend, stranger = {"Origin": "https://a.example"}, {"Origin": "https://b.example"}
    wish = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}

    assert client.options("/v1/classify", headers=friend | wish).status_code == 200
    assert client.options("/v1/classify", headers=stranger | wish).status_code == 400
    # An error must be readable to the page too.
    refused = client.post("/v1/classify", headers=friend)
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://a.example"
    assert "access-control-allow-origin" not in client.post("/v1/classify", headers=stranger).headers


def test_without_a_list_no_origin_is_named(serve: Serve) -> None:
    answer = serve({"fake": FakeClassifier()}).get("/healthz", headers={"Origin": "https://a.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_page_and_docs_can_be_switched_off(serve: Serve) -> None:
    client = serve({"fake": FakeClassifier()}, page=False, docs=False)
    for path in ("/", "/web/main.js", "/docs", "/openapi.json", "/static/docs.js"):
        assert client.get(path).status_code == 404
    assert client.get("/healthz").status_code == 200


def test_limits_reach_the_models() -> None:
    settings = Settings(max_image_bytes=2048, max_pixels=99, max_batch=7, text_cache_bytes=1, device="cpu")
    options = load_options(settings)
    assert options.device == "cpu"
    assert (options.serving.limits.max_bytes, options.serving.limits.max_pixels) == (2048, 99)
    assert (options.serving.max_batch, options.serving.text_cache_bytes) == (7, 1)


@pytest.mark.slow
def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        shutil.copytree(EMBEDDED_DIR, tmp_path / folder / "mine")
    specs = [str(tmp_path / folder / "mine") for folder in ("one", "two")]
    with pytest.raises(ModelUnavailable, match="would be called 'mine'"):
        main.load_all(Settings(models=specs))
