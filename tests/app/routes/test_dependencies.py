from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tests.app.conftest import Serve
from tests.app.fakes import FakeClassifier

KEY, OTHER = "correct-horse", "schlüssel-größer"


@pytest.fixture
def guarded(serve: Serve) -> TestClient:
    return serve({"fake": FakeClassifier()}, api_keys=[KEY, OTHER])


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_each_of_the_keys_opens(guarded: TestClient, key: str) -> None:
    header = b"Bearer " + key.encode()
    assert guarded.get("/v1/models", headers={b"Authorization": header}).status_code != 401


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer wrong",
        b"Bearer correct-hors",
        b"Bearer correct-horse2",
        b"Basic correct-horse",
        b"correct-horse",
        "Bearer schlüssel".encode(),
        b"Bearer \xff\xfe",
        b"Bearer " + b"x" * 10_000,
    ],
)
@pytest.mark.parametrize("path", ["/v1/classify", "/v1/embeddings", "/v1/embeddings/images"])
def test_a_wrong_missing_or_odd_key_is_a_401(guarded: TestClient, path: str, header: bytes | None) -> None:
    headers = {} if header is None else {b"Authorization": header}
    answer = guarded.post(path, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_what_operators_and_visitors_need_is_open(guarded: TestClient) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"):
        assert guarded.get(path).status_code == 200


def test_every_operation_under_v1_wants_the_key(guarded: TestClient) -> None:
    for path, operations in guarded.get("/openapi.json").json()["paths"].items():
        for method in operations:
            if path.startswith("/v1/"):
                url = path.replace("{", "").replace("}", "")
                assert guarded.request(method, url).status_code == 401, f"{method} {path}"


def test_without_keys_everybody_may_ask(serve: Serve) -> None:
    assert serve({"fake": FakeClassifier()}).post("/v1/embeddings", json={"input": "a"}).status_code == 200


def test_models_are_chosen_by_name_and_the_first_by_default(serve: Serve) -> None:
    first, second = FakeClassifier(), FakeClassifier()
    client = serve({"first": first, "second": second})
    client.post("/v1/embeddings", json={"input": "a"})
    assert (len(first.given), len(second.given)) == (1, 0)
    client.post("/v1/embeddings", json={"input": "a", "model": "second"})
    assert (len(first.given), len(second.given)) == (1, 1)
