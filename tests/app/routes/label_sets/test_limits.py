"""What label-set routes refuse, and when they give up, as other routes do."""

from __future__ import annotations

import base64
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.app.conftest import Serve
from tests.app.fakes import FakeClassifier

SETS = "/v1/label-sets"
VECTOR = base64.b64encode(np.array([1, 0, 0, 0], dtype="<f4").tobytes()).decode()
EVERY_ROUTE = [
    ("GET", SETS),
    ("GET", f"{SETS}/pets"),
    ("PUT", f"{SETS}/pets"),
    ("PATCH", f"{SETS}/pets"),
    ("DELETE", f"{SETS}/pets"),
    ("GET", f"{SETS}/pets/labels/cat/examples"),
    ("POST", f"{SETS}/pets/labels/cat/examples"),
    ("DELETE", f"{SETS}/pets/labels/cat/examples/x"),
    ("POST", f"{SETS}/pets/calibration"),
]


def test_every_route_waits_for_no_slot(serve: Serve, tmp_path: Path) -> None:
    fake = FakeClassifier(hold=True)
    client = serve({"fake": fake}, max_slots=1, database_url=f"sqlite:///{tmp_path / 'sets.db'}")
    holding = threading.Thread(target=client.post, args=("/v1/embeddings",), kwargs={"json": {"input": "a"}})
    holding.start()
    limit = time.monotonic() + 20
    while not fake.given:
        assert time.monotonic() < limit
        time.sleep(0.01)
    try:
        for method, path in EVERY_ROUTE:
            body = None if method in ("GET", "DELETE") else {"labels": ["cat", "dog"]}
            refused = client.request(method, path, json=body)
            assert refused.status_code == 503, f"{method} {path}: {refused.text}"
            assert "max_slots" in refused.json()["error"]["message"]
    finally:
        fake.given[0].set_result(np.eye(1, 4, dtype=np.float32))
        holding.join()


@pytest.mark.parametrize(("method", "path"), [route for route in EVERY_ROUTE if route[0] != "GET"])
def test_a_locked_database_is_a_504_in_time(serve: Serve, tmp_path: Path, method: str, path: str) -> None:
    client = serve(
        {"fake": FakeClassifier()},
        database_url=f"sqlite:///{tmp_path / 'sets.db'}",
        request_timeout_s=0.5,
    )
    assert client.put(f"{SETS}/pets", json={"labels": ["cat", "dog"]}).status_code == 201
    picture = {"images": [base64.b64encode(b"x").decode()]}
    body: Any = {
        "examples": picture,
        "calibration": {"embeddings": [VECTOR] * 20, "labels": ["cat"] * 20},
        "pets": {"labels": ["cat", "dog"]},
    }.get(path.rpartition("/")[2])
    holder = sqlite3.connect(tmp_path / "sets.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        answer = client.request(method, path, json=body if method != "DELETE" else None)
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded"), answer.text


def test_a_fit_of_more_than_can_be_done_is_refused_at_once(serve: Serve, tmp_path: Path) -> None:
    client = serve({"fake": FakeClassifier()}, database_url=f"sqlite:///{tmp_path / 'sets.db'}")
    labels = [f"label {number}" for number in range(2_000)]
    assert client.put(f"{SETS}/many", json={"labels": labels}).status_code == 201
    asked = {"embeddings": [VECTOR] * 2_501, "labels": ["label 7"] * 2_501}
    refused = client.post(f"{SETS}/many/calibration", json=asked)
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert error["field"] == "labels" and "2501 pictures × 2000 labels" in error["message"]
