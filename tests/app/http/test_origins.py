"""A page of another origin cannot make a visitor's browser send anything that changes something."""

from __future__ import annotations

import pytest

from app.http.origins import Hosts, host_of
from tests.app.conftest import Serve
from tests.app.fakes import FakeClassifier

OTHERS = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://testserver.evil.example"},
    {"Origin": "http://testserver:9000"},
    {"Origin": "http://["},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://other.testserver"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
]
OWN = [
    {},
    {"Origin": "http://testserver"},
    {"Origin": "http://testserver:80"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://the-name-outside.example"},
    {"Sec-Fetch-Site": "none"},
]


@pytest.mark.parametrize("headers", OTHERS, ids=str)
def test_a_foreign_page_changes_nothing(serve: Serve, headers: dict[str, str]) -> None:
    client = serve({"fake": FakeClassifier()})
    for path in (
        "/v1/embeddings",
        "/v1/label-sets/a/examples",
        "/v1/label-sets/a/calibration",
        "/predictions",
    ):
        answer = client.post(path, content=b"", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    for method in ("PUT", "DELETE", "PATCH"):
        assert client.request(method, "/v1/label-sets/a", headers=headers).status_code == 403
    assert client.get("/healthz", headers=headers).status_code == 200


@pytest.mark.parametrize("headers", OWN, ids=str)
def test_its_own_page_and_programs_are_answered(serve: Serve, headers: dict[str, str]) -> None:
    client = serve({"fake": FakeClassifier()})
    assert client.post("/v1/embeddings", json={"input": "a"}, headers=headers).status_code == 200


def test_what_cors_allows_is_answered(serve: Serve) -> None:
    headers = {"Origin": "https://friend.example", "Sec-Fetch-Site": "cross-site"}
    for origins in (["https://friend.example"], ["*"]):
        client = serve({"fake": FakeClassifier()}, cors_origins=origins)
        answer = client.post("/v1/embeddings", json={"input": "a"}, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] in ("*", "https://friend.example")
    client = serve({"fake": FakeClassifier()}, cors_origins=["https://friend.example"])
    assert client.post("/v1/embeddings", json={"input": "a"}, headers=OTHERS[0]).status_code == 403


def test_names_are_compared_whole() -> None:
    hosts = Hosts(["localhost", "*.example.org", "[::1]"])
    assert all(map(hosts.allows, (b"LOCALHOST", b"localhost.", b"a.example.org", b"a.b.example.org")))
    assert not any(map(hosts.allows, (b"", b"example.org", b"xexample.org", b"localhost.evil", b"::1")))
    assert Hosts(["*"]).allows(b"anything")


@pytest.mark.parametrize("value", [b"a b", b"a/b", b"a:b", b"a@b", b"a:123456", b"[::1", b"\xff", b"a,b/"])
def test_what_is_no_host_is_told_apart(value: bytes) -> None:
    assert host_of(value) is None
