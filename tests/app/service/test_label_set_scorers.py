"""Stored label sets made ready to answer by: shared by all who ask, kept within bounds, and nobody else's."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.requests.question import Question
from app.schemas.label_sets import LabelSetBody
from app.service import label_set_scorers
from app.service.label_set_scorers import LabelSetScorers
from app.service.scorer import LabelSetScorer
from app.storage import label_sets
from app.storage.database import Database
from models.labels.label_matrix import LabelMatrix
from models.labels.label_set import LabelSet
from tests.app.conftest import Serve
from tests.app.fakes import INFO, FakeClassifier

PETS = Question(name="pets")
VECTOR = [1.0, 0.0, 0.0, 0.0]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'sets.db'}")
    yield opened
    opened.close()


def put(db: Database, name: str, *labels: Any) -> None:
    label_sets.put(db, name, LabelSetBody.model_validate({"labels": labels}).model_dump(), most=100)


def test_a_set_that_others_put_out_of_the_cache_meanwhile_is_answered_by(
    classifier: Any, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(db, "pets", "cat", "dog")
    scorers, snapshot = LabelSetScorers(db), label_sets.snapshot

    def slow_snapshot(*asked: Any, **options: Any) -> Any:
        found = snapshot(*asked, **options)
        scorers._kept.clear()  # as 64 other sets do that are asked for in this moment
        return found

    async def twice() -> tuple[LabelSetScorer, LabelSetScorer]:
        first = await scorers.scorer_for(classifier, PETS)
        monkeypatch.setattr(label_sets, "snapshot", slow_snapshot)
        return first, await scorers.scorer_for(classifier, PETS)

    first, second = asyncio.run(twice())
    assert first is second


class Slow(FakeClassifier):
    """Labels of sets are embedded when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.sets: list[Future[LabelMatrix]] = []

    def label_set_matrix(self, label_set: LabelSet, *, deadline: float | None = None) -> Future[LabelMatrix]:
        future: Future[LabelMatrix] = Future()
        self.sets.append(future)
        return future


def wait_for(true: Any) -> None:
    limit = time.monotonic() + 20
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_a_cold_set_is_made_once_however_many_ask(serve: Serve, tmp_path: Path) -> None:
    fake = Slow()
    client = serve({"fake": fake}, database_url=f"sqlite:///{tmp_path / 'sets.db'}")
    client.put("/v1/label-sets/pets", json={"labels": ["cat", "dog"]})
    asked = {"embeddings": [VECTOR], "label_set": "pets"}
    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(client.post, "/v1/classify", json=asked) for _ in range(5)]
        wait_for(lambda: "candid_slots_taken 5.0" in client.get("/metrics").text and fake.sets)
        time.sleep(0.3)  # time enough to begin another one
        matrix = LabelMatrix(("cat", "dog"), np.eye(2, 4, dtype=np.float32))
        for future in fake.sets:
            future.set_result(matrix)
        assert [answer.result().status_code for answer in answers] == [200] * 5
    assert len(fake.sets) == 1


def test_a_set_that_nobody_waits_for_any_more_is_not_made(serve: Serve, tmp_path: Path) -> None:
    fake = Slow()
    url = f"sqlite:///{tmp_path / 'sets.db'}"
    client = serve({"fake": fake}, database_url=url, request_timeout_s=0.5)
    client.put("/v1/label-sets/pets", json={"labels": ["cat", "dog"]})
    asked = {"embeddings": [VECTOR], "label_set": "pets"}
    assert client.post("/v1/classify", json=asked).status_code == 504
    wait_for(lambda: [future.cancelled() for future in fake.sets] == [True])
    assert client.post("/v1/classify", json=asked).status_code == 504  # and is begun anew
    assert len(fake.sets) == 2


def test_weights_with_another_preprocessing_share_no_examples_and_no_temperature(
    serve: Serve, tmp_path: Path
) -> None:
    other = FakeClassifier(info=SimpleNamespace(**INFO | {"name": "other", "config": "other"}))
    client = serve(
        {"fake": FakeClassifier(), "other": other}, database_url=f"sqlite:///{tmp_path / 'sets.db'}"
    )
    client.put("/v1/label-sets/pets", json={"labels": ["cat", "dog"]})
    form = {"images": b"a picture"}
    example = client.post("/v1/label-sets/pets/labels/cat/examples", files=form, data={"model": "fake"})
    assert example.status_code == 200
    [kept] = client.get("/v1/label-sets/pets/labels/cat/examples").json()["data"]
    assert kept["models"] == ["fake"]
    truth = {"embeddings": [VECTOR] * 20, "labels": ["cat"] * 20, "model": "fake"}
    assert client.post("/v1/label-sets/pets/calibration", json=truth).status_code == 200
    [fitted] = client.get("/v1/label-sets/pets").json()["calibration"]
    assert fitted["model"] == "fake"

    asked = {"embeddings": [VECTOR], "label_set": "pets"}
    own = client.post("/v1/classify", json=asked | {"model": "fake"}).json()
    others = client.post("/v1/classify", json=asked | {"model": "other"}).json()
    assert (own["calibrated"], own["warnings"]) == (True, [])
    assert others["calibrated"] is False and "without this model" in others["warnings"][0]


def test_what_is_kept_is_counted_as_it_is_held(db: Database) -> None:
    texts = [f"{number} {'x' * 200}" for number in range(40)]
    labels = [{"label": f"label {number} {'y' * 100}", "aliases": texts} for number in range(2_000)]
    put(db, "large", *labels)
    scorers = LabelSetScorers(db)

    async def make() -> None:
        await scorers.scorer_for(FakeClassifier(), Question(name="large"))  # type: ignore[arg-type]

    async def grown() -> tuple[int, int]:
        put(db, "small", "cat", "dog")
        await scorers.scorer_for(FakeClassifier(), Question(name="small"))  # type: ignore[arg-type]
        gc.collect()
        tracemalloc.start()
        before, counted = tracemalloc.get_traced_memory()[0], scorers.nbytes
        await make()
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return after - before, scorers.nbytes - counted

    held, counted = asyncio.run(grown())
    assert held == pytest.approx(counted, rel=0.3)


def test_no_more_is_kept_than_there_is_room_for(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_set_scorers, "MAX_KEPT_BYTES", 10_000)
    scorers = LabelSetScorers(db)

    async def ask() -> list[int]:
        sizes = []
        for number in range(5):
            put(db, f"set-{number}", *(f"label {label}" for label in range(50)))
            question = Question(name=f"set-{number}")
            sizes.append((await scorers.scorer_for(FakeClassifier(), question)).nbytes)  # type: ignore[arg-type]
            assert scorers.nbytes <= 10_000
        return sizes

    assert sum(asyncio.run(ask())) > 10_000


def test_a_program_without_an_event_loop_asks_from_any_thread(db: Database, classifier: Any) -> None:
    """As the command line does."""
    put(db, "pets", "cat", "dog")
    found: list[LabelSetScorer] = []

    def ask() -> None:
        found.append(asyncio.run(LabelSetScorers(db).scorer_for(classifier, PETS)))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [scorer.labels for scorer in found] == [("cat", "dog")] * 2
