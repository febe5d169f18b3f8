from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from app.http.errors import STATUS, detail_of, status_of
from models import errors as clip
from tests.app.conftest import Serve
from tests.app.fakes import FakeClassifier

QUESTION = {"images": ["AAAA"], "labels": ["cat"]}

WAYS_TO_FAIL: dict[str, tuple[int, str, Callable[[TestClient], Any]]] = {
    "unknown path": (404, "not_found", lambda c: c.get("/v9/nothing")),
    "unknown file": (404, "not_found", lambda c: c.get("/static/none.js")),
    "path with a slash more": (404, "not_found", lambda c: c.post("/v1/classify/", json=QUESTION)),
    "wrong method": (405, "method_not_allowed", lambda c: c.get("/v1/classify")),
    "unknown method": (405, "method_not_allowed", lambda c: c.request("BREW", "/v1/models")),
    "no body": (415, "unsupported_media_type", lambda c: _ask(c)),
    "other type": (415, "unsupported_media_type", lambda c: _ask(c, data={"labels": "a"})),
    "text as json": (415, "unsupported_media_type", lambda c: c.post("/v1/embeddings", content=b"{}")),
    "no json": (400, "bad_request", lambda c: _json(c, "/v1/classify", b"{")),
    "no form": (400, "bad_request", lambda c: _typed(c, "multipart/form-data; boundary=x", b"--y--")),
    "missing field": (422, "invalid_request", lambda c: _ask(c, json={"images": ["AAAA"]})),
    "bad picture": (422, "image_rejected", lambda c: _ask(c, json={"images": ["!"], "labels": ["a"]})),
    "unknown model": (404, "unknown_model", lambda c: _ask(c, json=QUESTION | {"model": "x"})),
    "large body": (413, "body_too_large", lambda c: _json(c, "/v1/classify", b" " * 5000)),
}


def _ask(client: TestClient, **request: Any) -> Any:
    return client.post("/v1/classify", **request)


def _json(client: TestClient, path: str, body: bytes) -> Any:
    return client.post(path, content=body, headers={"Content-Type": "application/json"})


def _typed(client: TestClient, kind: str, body: bytes) -> Any:
    return client.post("/v1/classify", content=body, headers={"Content-Type": kind})


def has_the_one_shape(answer: httpx.Response) -> dict[str, Any]:
    """Every error looks like this, whatever went wrong."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"error"}
    error: dict[str, Any] = body["error"]
    assert error.keys() - {"reason"} == {"code", "message", "field", "request_id"}
    assert error["code"] and error["message"]
    assert error["request_id"] == answer.headers["x-request-id"]
    return error


@pytest.mark.parametrize("way", WAYS_TO_FAIL)
def test_every_error_has_the_one_shape(serve: Serve, way: str) -> None:
    status, code, fail = WAYS_TO_FAIL[way]
    answer = fail(serve({"fake": FakeClassifier()}, max_body_bytes=4096))
    assert answer.status_code == status, answer.text
    assert has_the_one_shape(answer)["code"] == code


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (clip.Overloaded("too much", retry_after_s=7), 503, "overloaded"),
        (clip.DeadlineExceeded("too late"), 504, "deadline_exceeded"),
        (clip.ShuttingDown("leaving"), 503, "shutting_down"),
        (clip.EncoderFailed("broken"), 503, "encoder_failed"),
        (clip.WeightsCorrupt("changed"), 503, "weights_corrupt"),
        (clip.InvalidRequest("no", field="labels"), 422, "invalid_request"),
    ],
)
def test_what_the_models_raise_has_its_status(
    serve: Serve, error: clip.CandidError, status: int, code: str
) -> None:
    client = serve({"fake": FakeClassifier(error=error)})
    answer = client.post("/v1/classify", json=QUESTION)
    assert answer.status_code == status
    assert has_the_one_shape(answer)["code"] == code
    if status == 503:
        assert answer.headers["retry-after"] == ("7" if code == "overloaded" else "1")


def test_a_defect_of_ours_tells_nothing_but_its_id(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    client = serve({"fake": FakeClassifier(error=RuntimeError("the password is swordfish"))})
    with caplog.at_level(logging.ERROR):
        answer = client.post("/v1/classify", json=QUESTION)
    assert answer.status_code == 500
    error = has_the_one_shape(answer)
    assert error["code"] == "internal_error"
    assert "swordfish" not in answer.text
    [record] = [record for record in caplog.records if record.name == "app.http.errors"]
    assert record.exc_info is not None and "swordfish" in str(record.exc_info[1])
    assert record.__dict__["request_id"] == error["request_id"]


def test_the_table_has_every_error_of_the_models() -> None:
    def leaves(kind: type[clip.CandidError]) -> list[type[clip.CandidError]]:
        below = [leaf for child in kind.__subclasses__() for leaf in leaves(child)]
        return [kind, *below] if kind is not clip.CandidError else below

    ours = [kind for kind in leaves(clip.CandidError) if kind.__module__.startswith("models.")]
    assert clip.Overloaded in ours
    for kind in ours:
        assert any(parent in STATUS for parent in kind.__mro__), f"{kind.__name__} would be a 500"


def test_messages_are_bounded_and_encodable() -> None:
    detail = detail_of(clip.InvalidRequest("x" * 10_000 + "\ud800", field="\ud800" * 10_000))
    assert len(detail["message"]) < 1000 and len(detail["field"]) < 1000
    detail["message"].encode()
    detail["field"].encode()


def test_an_unknown_exception_is_a_500() -> None:
    assert status_of(ValueError()) == 500


def test_a_refused_method_is_told_of_every_other_one(client: TestClient) -> None:
    answer = client.request("BREW", "/v1/label-sets/pets")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "PUT", "PATCH", "DELETE"}


def test_true_is_no_number_in_json(client: TestClient) -> None:
    answer = client.post("/v1/classify", json=QUESTION | {"top_k": True})
    assert answer.status_code == 422 and answer.json()["error"]["field"] == "top_k"
