"""A page of another site can send a visitor's own service nothing, and call it by no name of its own."""

from __future__ import annotations

import pytest

from app.settings import Settings
from tests.app.conftest import Serve
from tests.app.server_process import ASK, running

FOREIGN = "https://evil.example"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),  # no browser
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://testserver"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": FOREIGN}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://other.testserver"}, 403),
        ({"Origin": FOREIGN}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://testserver:8001"}, 403),
    ],
)
def test_what_a_page_sends_from_elsewhere_is_refused(
    serve: Serve, headers: dict[str, str], status: int
) -> None:
    client = serve()
    answer = client.post("/v1/embeddings", json={"input": "a cat"}, headers=headers)
    assert answer.status_code == status
    put = client.put("/v1/label-sets/pets", json={"labels": ["cat"]}, headers=headers)
    assert put.status_code == (403 if status == 403 else put.status_code)
    if status == 403:
        assert answer.json()["error"]["code"] == "forbidden"
        assert client.get("/healthz", headers=headers).status_code == 200


def test_an_origin_that_cors_allows_may(serve: Serve) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": FOREIGN}
    body = {"input": "a cat"}
    for origins in ((FOREIGN,), ("*",)):
        assert (
            serve(cors_origins=origins).post("/v1/embeddings", json=body, headers=headers).status_code == 200
        )


@pytest.mark.parametrize(
    ("hosts", "host", "status"),
    [
        ([], "localhost:8000", 200),
        ([], "127.0.0.1", 200),
        ([], "[::1]:80", 200),
        ([], "evil.example", 421),
        ([], "127.0.0.1.evil.example", 421),
        ([], "", 421),
        (["api.example.org", "*.inner.org"], "API.example.org", 200),
        (["api.example.org", "*.inner.org"], "a.inner.org:8443", 200),
        (["api.example.org", "*.inner.org"], "localhost", 421),
        (["api.example.org"], "10.0.0.7:8000", 200),  # as a probe calls it
        (["api.example.org"], "[fd00::7]:8000", 200),
        (["api.example.org"], "10.0.0.7.evil.example", 421),
        (["api.example.org"], "10.0.0.7.8", 421),
    ],
)
def test_the_service_is_called_by_its_own_names(hosts: list[str], host: str, status: int) -> None:
    with running(allowed_hosts=hosts) as server:
        assert server.ask(ASK.replace(b"Host: localhost", b"Host: " + host.encode()))[0] == status


def test_on_every_interface_any_name_is_its_own() -> None:
    assert Settings(host="0.0.0.0").hosts == ("*",)
    assert "*" not in Settings().hosts
