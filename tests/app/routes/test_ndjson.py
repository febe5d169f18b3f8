"""POST /v1/classify as JSON lines."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from models.errors import ImageRejected
from tests.app.fakes import FakeClassifier, until
from tests.app.serving import listening

NDJSON = {"Accept": "application/x-ndjson"}
LABELS = ["cat", "dog"]


class ByName(FakeClassifier):
    """Pictures that are answered when the test says so, by what their bytes say."""

    def __init__(self) -> None:
        super().__init__(hold=True)
        self.held: dict[bytes, Future[Any]] = {}

    def embed_image(self, data: bytes, *, deadline: float | None = None) -> Future[Any]:
        future = super().embed_image(data, deadline=deadline)
        if data == b"broken":
            future.set_exception(ImageRejected("damaged", "cut short"))
        self.held[data] = future
        return future

    def answer(self, data: bytes) -> None:
        self.held[data].set_result(FakeClassifier().embed_image(data).result())


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def question(*pictures: bytes, **more: Any) -> dict[str, Any]:
    images = [{"data": base64.b64encode(data).decode(), "name": data.decode()} for data in pictures]
    return {"images": images, "labels": LABELS} | more


def streamed(fake: ByName, play: Any, asked: dict[str, Any], **settings: Any) -> list[dict[str, Any]]:
    """The lines of one request, while `play` decides what is ready when."""

    async def test() -> str:
        app = create_app(Settings(**settings), {"fake": fake})  # type: ignore[dict-item]
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app) as state:

            async def with_state(scope: Any, receive: Any, send: Any) -> None:
                await app(scope | {"state": dict(state)}, receive, send)

            transport.app = with_state
            async with httpx.AsyncClient(transport=transport, base_url="http://candid") as client:
                asking = asyncio.create_task(client.post("/v1/classify", json=asked, headers=NDJSON))
                await play(fake)
                answer = await asking
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert "content-length" not in answer.headers
        return answer.text

    return lines(asyncio.run(test()))


def test_lines_come_in_the_order_in_which_they_are_ready_and_the_last_tells_the_rest() -> None:
    async def play(fake: ByName) -> None:
        await until(lambda: len(fake.held) == 3)
        fake.answer(b"last")
        await asyncio.sleep(0.05)
        fake.answer(b"first")

    found = streamed(ByName(), play, question(b"first", b"broken", b"last", top_k=1))
    assert [line.get("index") for line in found] == [1, 2, 0, None]
    assert [line.get("name") for line in found[:3]] == ["broken", "last", "first"]
    assert (found[0]["error"]["code"], found[0]["error"]["reason"]) == ("image_rejected", "damaged")
    assert found[0]["error"]["field"] == "images[1]"
    assert found[1]["ranking"] == [{"label": "cat", "similarity": 1.0, "probability": 1.0}]
    assert found[3].keys() == {"model", "calibrated", "warnings", "timing_ms"}
    assert found[3]["timing_ms"].keys() == {"decode", "queue", "encode", "total"}


def test_a_stream_that_runs_out_of_time_ends_with_its_error() -> None:
    fake = ByName()

    async def play(fake: ByName) -> None:
        await until(lambda: len(fake.held) == 2)
        fake.answer(b"one")

    first, last = streamed(fake, play, question(b"one", b"two"), request_timeout_s=0.3)
    assert first["index"] == 0
    assert (last["error"]["code"], last["error"].keys()) == (
        "deadline_exceeded",
        {"code", "message", "field", "request_id"},
    )
    assert fake.held[b"two"].cancelled()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"labels": []}, 422, "invalid_request"),
        ({"template": ["no place"]}, 422, "invalid_request"),
        ({"model": "another"}, 404, "unknown_model"),
        ({"images": [base64.b64encode(b"no picture").decode()]}, 422, "image_rejected"),
    ],
)
def test_before_the_first_line_an_error_has_its_status_and_the_envelope(
    client: TestClient, cat: bytes, changes: dict[str, Any], status: int, code: str
) -> None:
    asked = {"images": [base64.b64encode(cat).decode()] * 2, "labels": LABELS} | changes
    answer = client.post("/v1/classify", json=asked, headers=NDJSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_the_answers_are_those_of_the_other_form(client: TestClient, cat: bytes) -> None:
    files = [("images", ("cat.jpg", cat)), ("images", ("broken.jpg", cat[:500])), ("images", ("2.jpg", cat))]
    fields = {"labels": LABELS, "reject": "false", "mode": "multi"}
    whole = client.post("/v1/classify", files=files, data=fields).json()
    *answers, last = lines(client.post("/v1/classify", files=files, data=fields, headers=NDJSON).text)
    answers.sort(key=lambda answer: answer["index"])
    assert [answer.pop("index") for answer in answers] == [0, 1, 2]
    assert answers == whole.pop("results")
    del last["timing_ms"], whole["timing_ms"]
    assert last == whole


def test_vectors_are_answered_line_by_line_too(client: TestClient, cat: bytes) -> None:
    vector = client.post("/v1/embeddings/images", files={"images": cat}).json()["data"][0]["embedding"]
    asked = {"embeddings": [vector, vector], "labels": LABELS}
    answer = client.post("/v1/classify", json=asked, headers=NDJSON)
    assert [line.get("index") for line in lines(answer.text)] == [0, 1, None]


@pytest.mark.parametrize(
    ("accept", "streams"),
    [
        ("application/x-ndjson", True),
        ("application/json;q=0.5, Application/X-NDJSON;q=0.9", True),
        ("*/*", False),
        ("application/json, application/x-ndjson;q=0", False),
    ],
)
def test_only_who_asks_for_lines_by_name_gets_them(
    client: TestClient, cat: bytes, accept: str, streams: bool
) -> None:
    answer = client.post(
        "/v1/classify", files={"images": cat}, data={"labels": LABELS}, headers={"Accept": accept}
    )
    assert answer.headers["content-type"].startswith("application/x-ndjson") is streams


def test_the_description_tells_of_both_forms(client: TestClient) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/v1/classify"]["post"]
    content = operation["responses"]["200"]["content"]
    assert content.keys() == {"application/json", "application/x-ndjson"}
    assert [line.get("index") for line in lines(content["application/x-ndjson"]["example"])] == [0, None]


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_each_line_is_sent_at_once_and_a_caller_that_leaves_ends_the_work() -> None:
    fake = ByName()
    with listening(fake) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        headers = {"Content-Type": "application/json"} | NDJSON
        connection.request("POST", "/v1/classify", json.dumps(question(b"one", b"two")), headers)
        wait_for(lambda: len(fake.held) == 2)
        fake.answer(b"one")
        answer = connection.getresponse()
        assert json.loads(answer.readline())["index"] == 0
        answer.close()
        connection.close()
        wait_for(lambda: fake.held[b"two"].cancelled())
