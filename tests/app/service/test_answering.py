"""How much one request may ask for, where its work is done, and when it ends: seen through HTTP."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from app.requests.question import Question
from app.service.label_set_scorers import LabelSetScorers
from app.storage.database import Database
from models.labels.label_matrix import LabelMatrix
from models.scoring import scorer as scoring
from tests.app.conftest import Serve
from tests.app.fakes import FakeClassifier

VECTOR = base64.b64encode(np.array([1, 0, 0, 0], dtype="<f4").tobytes()).decode()


class Watched(FakeClassifier):
    """Remembers which thread made the prompts; pictures are embedded from the event loop's."""

    def __init__(self) -> None:
        super().__init__()
        self.loop: Any = None
        self.made_on: list[Any] = []

    def embed_image(self, data: bytes, *, deadline: float | None = None) -> Future[Any]:
        self.loop = threading.current_thread()
        return super().embed_image(data, deadline=deadline)

    def label_matrix(
        self, labels: Sequence[str], *, templates: Sequence[str] = (), deadline: float | None = None
    ) -> Future[LabelMatrix]:
        self.made_on.append(threading.current_thread())
        return super().label_matrix(labels, templates=templates, deadline=deadline)


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_prompts_are_counted_not_labels(serve: Serve, accept: str) -> None:
    fake = Watched()
    asked = {"images": [base64.b64encode(b"x").decode()], "template": ["openai-80"]}
    labels = [f"label {number}" for number in range(100)]  # 8,000 prompts
    answer = serve({"fake": fake}).post(
        "/v1/classify", json=asked | {"labels": labels}, headers={"Accept": accept}
    )
    assert answer.status_code == 200
    assert fake.loop is not None and fake.made_on and fake.loop not in fake.made_on


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize(
    ("labels", "vectors"),
    [
        ([f"label {number}" for number in range(100)], 64),  # 6,400 places
        ([" > ".join(f"{number}.{level}" for level in range(20)) for number in range(140)], 1),
    ],
)
def test_all_pictures_labels_and_levels_are_counted_together(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, accept: str, labels: list[str], vectors: int
) -> None:
    scored_on: list[Any] = []
    real = scoring.answer

    def watched(*args: Any, **named: Any) -> Any:
        scored_on.append(threading.current_thread())
        return real(*args, **named)

    monkeypatch.setattr(scoring, "answer", watched)
    fake = Watched()
    client = serve({"fake": fake}, max_label_chars=1000)
    client.post("/v1/classify", json={"images": [VECTOR], "labels": ["cat"]})
    scored_on.clear()
    asked = {"embeddings": [VECTOR] * vectors, "labels": labels}
    assert client.post("/v1/classify", json=asked, headers={"Accept": accept}).status_code == 200
    assert len(scored_on) == vectors and fake.loop not in scored_on


@pytest.mark.parametrize(
    ("labels", "vectors", "words"),
    [
        ([" > ".join("abcdefghijklmnopqrstu")], 1, "has 21 levels; at most 20"),
        (
            [f"{n} > " + " > ".join("abcdefghijklmnopqrs") for n in range(2_000)],
            24,
            "at most 1000000 in one answer",
        ),
    ],
)
def test_trees_have_a_depth_and_a_size(serve: Serve, labels: list[str], vectors: int, words: str) -> None:
    asked = {"embeddings": [VECTOR] * vectors, "labels": labels}
    refused = serve({"fake": FakeClassifier()}).post("/v1/classify", json=asked)
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert error["field"] == "labels" and words in error["message"]


def test_a_stored_set_that_is_too_large_for_the_pictures_is_refused_once_it_is_read(
    serve: Serve, tmp_path: Any
) -> None:
    url = f"sqlite:///{tmp_path / 'sets.db'}"
    client = serve({"fake": FakeClassifier()}, database_url=url, max_labels=20_000)
    labels = [f"label {number}" for number in range(20_000)]
    assert client.put("/v1/label-sets/many", json={"labels": labels}).status_code == 201
    asked = {"embeddings": [VECTOR] * 64, "label_set": "many"}
    refused = client.post("/v1/classify", json=asked)
    assert refused.status_code == 422 and "64 pictures × 20000" in refused.json()["error"]["message"]
    assert client.post("/v1/classify", json=asked | {"top_k": 5}).status_code == 200


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_work_ends_with_the_request(serve: Serve, monkeypatch: pytest.MonkeyPatch, accept: str) -> None:
    begun = slowed(monkeypatch, "answer")
    labels = [f"label {number}" for number in range(500)]  # on a thread, with 64 vectors
    client = serve({"fake": FakeClassifier()}, request_timeout_s=0.5)
    answer = client.post(
        "/v1/classify", json={"embeddings": [VECTOR] * 64, "labels": labels}, headers={"Accept": accept}
    )
    assert "deadline_exceeded" in answer.text
    ended = len(begun)
    time.sleep(0.6)
    assert 0 < ended <= len(begun) <= ended + 1 < 64  # but for the one that was at hand


def slowed(monkeypatch: pytest.MonkeyPatch, name: str) -> list[float]:
    """When each call of a function of the scorer begins, which then takes its time."""
    begun: list[float] = []
    real = getattr(scoring, name)

    def slow(*args: Any, **named: Any) -> Any:
        begun.append(time.monotonic())
        time.sleep(0.2)
        return real(*args, **named)

    monkeypatch.setattr(scoring, name, slow)
    return begun


def test_so_does_that_for_other_programs(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = slowed(monkeypatch, "answer")
    labels = [f"label {number}" for number in range(500)]
    inputs = [
        {"name": "IMAGE", "shape": [20], "datatype": "BYTES", "data": [VECTOR] * 20},
        {"name": "LABELS", "shape": [500], "datatype": "BYTES", "data": labels},
    ]
    client = serve({"fake": FakeClassifier()}, request_timeout_s=0.5)
    answer = client.post("/v2/models/fake/infer", json={"inputs": inputs})
    assert answer.status_code == 504
    ended = len(begun)
    time.sleep(0.6)
    assert 0 < ended <= len(begun) <= ended + 1 < 20


def test_and_a_fit(serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path / 'sets.db'}"
    client = serve({"fake": FakeClassifier()}, request_timeout_s=0.5, database_url=url)
    client.put("/v1/label-sets/pets", json={"labels": ["cat", "dog"]})
    begun = slowed(monkeypatch, "logits")  # of 256 vectors
    asked = {"embeddings": [VECTOR] * 5_000, "labels": ["cat"] * 5_000}
    assert client.post("/v1/label-sets/pets/calibration", json=asked).status_code == 504
    ended = len(begun)
    time.sleep(0.6)
    assert 0 < ended <= len(begun) <= ended + 1 < 20
    assert client.get("/v1/label-sets/pets").json()["calibration"] == []


def test_plain_labels_are_ranked_as_the_classifier_ranks_them(classifier: Any) -> None:
    labels = ("cat", "dog", "coffee cup", "a red bicycle", "cat")
    scorers = LabelSetScorers(Database(None))
    vector = classifier.embed_texts(["a photo of a cat"]).result()[0]
    scorer = asyncio.run(scorers.scorer_for(classifier, Question(labels=labels)))
    places = scorer.answer(vector).ranking
    matrix = classifier.label_matrix(labels).result()
    ranked = classifier.rank(vector, matrix)
    assert [(p.label, p.similarity, p.probability) for p in places] == [
        (r.label, r.similarity, r.probability) for r in ranked
    ]
    assert scorer.warnings == matrix.warnings != ()
