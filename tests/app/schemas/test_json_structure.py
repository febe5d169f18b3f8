"""JSON that would become too much is refused before it is built, and others go on being answered."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.schemas.json_structure import MAX_LISTS, MAX_VALUES, too_much
from tests.app.conftest import Serve
from tests.app.server_process import Running, running

MANY = MAX_VALUES + 10
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODIES = {
    "lists": b'{"labels": [%s[]]}' % (b"[]," * (MAX_LISTS + 1)),
    "objects": b'{"labels": [%s{}]}' % (b"{}," * (MAX_LISTS + 1)),
    "numbers": b'{"labels": [%s1]}' % (b"1," * MANY),
    "texts": b'{"labels": [%s""]}' % (b'"",' * MANY),
    "fields": b'{%s"b": 1}' % (b'"a":1,' * MANY),
    "texts that hold a quote": b'{"labels": [%s""]}' % (b'"\\"[,",' * MANY),
}


@pytest.mark.parametrize("kind", BODIES)
def test_too_much_is_refused(serve: Serve, kind: str) -> None:
    client = serve()
    for path in ("/v1/classify", "/v1/embeddings", "/v1/embeddings/images"):
        answer = client.post(path, content=BODIES[kind], headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
        assert "more than" in answer.json()["error"]["message"]
    answer = client.put(
        "/v1/label-sets/pets", content=BODIES[kind], headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422


@pytest.mark.parametrize("kind", ["lists", "numbers"])
def test_so_it_is_in_a_field_of_a_form(serve: Serve, cat: bytes, kind: str) -> None:
    text = BODIES[kind].removeprefix(b'{"labels": ').removesuffix(b"}")[: 4 << 20]
    answer = serve().post("/v1/classify", files={"images": cat}, data={"labels": text.decode()})
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "labels"


def test_the_text_fields_of_a_form_are_bounded_together(serve: Serve, cat: bytes) -> None:
    fields = {f"field{number}": "x" * (3 << 20) for number in range(4)}
    answer = serve().post("/v1/classify", files={"images": cat}, data=fields)
    assert answer.status_code == 422
    assert "text fields" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "value",
    [
        {"labels": ["[{,:" * 70] * 10_000},
        {"labels": ['a "quoted" word, and \\ another'] * 10_000},
        {"labels": [{"label": "a", "aliases": ["b", "c"], "descriptions": ["d"]}] * 10_000},
        {"embeddings": [[0.25] * 1152] * 1000},
        {"images": ["A" * 1_000_000]},
    ],
    ids=["marks in labels", "quotes", "label sets", "vectors", "pictures"],
)
def test_what_routes_can_take_is_not_too_much(value: object) -> None:
    assert too_much(json.dumps(value).encode()) is None


def resident_mb(server: Running) -> float:
    status = Path(f"/proc/{server.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]  # the most it ever was
    return int(line.split()[1]) / 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs Linux' /proc")
def test_four_bodies_of_sixty_megabytes_silence_nobody() -> None:
    body = b'{"labels": [%s[]]}' % (b"[]," * 20_000_000)
    head = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with running() as server, ThreadPoolExecutor(4) as callers:
        before = resident_mb(server)
        asked = [callers.submit(server.ask, request) for _ in range(4)]
        while not all(future.done() for future in asked):
            assert server.ask(HEALTH)[0] == 200
        assert [future.result()[0] for future in asked] == [422] * 4
        assert resident_mb(server) - before < 900, "four bodies, held twice while they are joined"
