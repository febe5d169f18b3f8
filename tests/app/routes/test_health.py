from __future__ import annotations

from app import __version__
from tests.app.conftest import Serve
from tests.app.fakes import FakeClassifier


def test_healthz_says_that_the_process_lives_whatever_its_models_do(serve: Serve) -> None:
    client = serve({"fake": FakeClassifier(is_ready=False)})
    assert client.get("/healthz").json() == {"status": "ok", "version": __version__}


def test_readyz_names_the_model_that_is_not_ready(serve: Serve) -> None:
    fine, broken = FakeClassifier(), FakeClassifier(is_ready=False)
    client = serve({"fine": fine, "broken": broken})
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "draining": False, "models": {"fine": True, "broken": False}}

    broken.is_ready = True
    assert client.get("/readyz").status_code == 200


def test_readyz_says_when_the_service_drains_though_it_still_answers(serve: Serve) -> None:
    client = serve({"fake": FakeClassifier()})
    client.app.state.admission.draining = True  # type: ignore[attr-defined]
    assert client.get("/readyz").status_code == 503
    assert client.get("/readyz").json()["draining"] is True
    assert client.post("/v1/embeddings", json={"input": "a"}).status_code == 200


def test_metrics_count_requests_and_what_the_models_count(serve: Serve) -> None:
    client = serve({"fake": FakeClassifier()})
    client.post("/v1/embeddings", json={"input": "a"})
    text = client.get("/metrics").text
    assert 'candid_requests_total{code="",method="POST",route="/v1/embeddings",status="200"} 1.0' in text
    assert 'candid_images_encoded_total{model="fake"} 1.0' in text
    assert "candid_slots_taken 0.0" in text
