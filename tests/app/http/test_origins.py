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
    ("hosts", "right", "wrong"),
    [
        ([], ["localhost:8000", "127.0.0.1", "[::1]:80"], ["evil.example", "127.0.0.1.evil.example", ""]),
        (["api.example.org", "*.inner.org"], ["API.example.org", "a.inner.org:8443"], ["localhost"]),
        (
            ["api.example.org"],
            ["10.0.0.7:8000", "[fd00::7]:8000"],  # as a probe calls it
            ["10.0.0.7.evil.example", "10.0.0.7.8"],
        ),
    ],
)
def test_the_service_is_called_by_its_own_names(hosts: list[str], right: list[str], wrong: list[str]) -> None:
    with running(allowed_hosts=hosts) as server:
        statuses = {
            host: server.ask(ASK.replace(b"Host: localhost", b"Host: " + host.encode()))[0]
            for host in (*right, *wrong)
        }
    assert statuses == dict.fromkeys(right, 200) | dict.fromkeys(wrong, 421)


def test_on_every_interface_any_name_is_its_own() -> None:
    assert Settings(host="0.0.0.0").hosts == ("*",)
    assert "*" not in Settings().hosts
