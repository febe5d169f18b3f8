"""What every route makes of the largest bodies it may be sent: memory, time, and whether others are answered.

The routes are those that the application has, so a new one is held to this without anybody thinking of it.
"""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from app.main import create_app
from app.settings import Settings
from tests.app.server_process import Running, running

BODY_BYTES: Final = 4 << 20  # max_body_bytes of this server: a sixteenth of the default, to be quick
GROWN_MIB: Final = 75  # for one body, beside twice what it is answered; 1.4 million lists take 90
BUFFER_BYTES: Final = 32 << 20
AT_ONCE: Final = 6
MADE_MIB: Final = 75  # beside the buffer: what is being worked on
WORKING: Final = 12  # requests: twice the threads that there are on two cores
REQUEST_TIMEOUT_S: Final = 20.0
PATIENCE_S: Final = 100.0  # of this test, not of the service: the machine may be busy
MANIFEST = Path(__file__).parents[3] / "deploy" / "kubernetes.yaml"


def tensor(name: str, data: list[str]) -> dict[str, Any]:
    """Of KServe's."""
    return {"name": name, "datatype": "BYTES", "shape": [len(data)], "data": data}


PIXEL = base64.b64encode(b"GIF89a\x01\x00\x01\x00\x80\x00\x00")
# Names of fields of all routes; what a route does not know is refused, and must be cheap, too.
LISTS = ("labels", "images", "embeddings", "input", "inputs", "texts", "text", "prompt", "subject", "image")
LEGAL: dict[str, Any] = {
    "labels": [f"label {i} ".ljust(300, "x") for i in range(5_000)],
    "embeddings": [[1, 0, 0, 0]] * 64,
    "images": [PIXEL.decode()] * 64,
    "input": [f"text {i}" for i in range(10_000)],
    "texts": [f"text {i}" for i in range(10_000)],
    "inputs": PIXEL.decode(),
    "parameters": {"candidate_labels": [f"label {i}" for i in range(10_000)]},
}
LABELS: Final = [f"label {i}" for i in range(5_000)]  # half as many as may be sent
# The largest answers, whichever route gives them; the others refuse what they do not know.
LARGE: dict[str, Any] = {
    "rankings": {"labels": LABELS, "embeddings": [[1] + [0] * 511] * 64},
    "rankings of pictures": {"labels": LABELS, "images": [PIXEL.decode()] * 64},
    "texts": {"input": LABELS},
    "texts, Roboflow": {"text": LABELS},
    "comparisons": {"subject": "a", "subject_type": "text", "prompt": LABELS},
    "one ranking": {"inputs": PIXEL.decode(), "parameters": {"candidate_labels": LABELS}},
    "tensors of texts": {"inputs": [tensor("TEXT", LABELS)]},
    "tensors": {"inputs": [tensor("IMAGE", [PIXEL.decode()] * 64), tensor("LABELS", LABELS)]},
    "set": {"labels": [{"label": label, "descriptions": [label * 9] * 9} for label in LABELS]},
}


def write_routes() -> list[tuple[str, str]]:
    """Method and path of everything that reads a body."""

    def walk(routes: Any) -> Iterator[tuple[str, str]]:
        for route in routes:
            if hasattr(route, "original_router"):
                yield from walk(route.original_router.routes)
            else:
                for method in sorted(getattr(route, "methods", None) or ()):
                    if method in ("POST", "PUT", "PATCH"):
                        yield method, route.path.replace(":path", "")

    return list(walk(create_app(Settings(), {}).routes))


def place_of(path: str) -> str:
    """With names in it: the model's, which does for a label set, too."""
    return path.replace("{version}", "1").replace("{name}", "fake").replace("{model}", "fake")


def filled(unit: bytes, start: bytes = b"", end: bytes = b"") -> bytes:
    return start + unit * ((BODY_BYTES - len(start) - len(end)) // len(unit)) + end


def json_bodies() -> Iterator[tuple[str, bytes]]:
    for name in LISTS:
        start, end = b'{"%b":[' % name.encode(), b"0]}"
        yield f"{name}: empty lists", filled(b"[],", start, end)
    for kind, unit in (
        ("numbers", b"1,"),
        ("texts", b'"a",'),
        ("objects", b'{"a":1},'),
        ("floats", b"1.5e3,"),
    ):
        yield kind, filled(unit, b'{"labels":[', b"0]}")
        yield f"{kind}, at the top", filled(unit, b"[", b"0]")
    yield "fields", b"{" + b",".join(b'"%d":1' % i for i in range(300_000)) + b"}"
    yield "depth", filled(b"[")
    yield "one text", filled(b"a", b'{"labels":["', b'"]}')
    yield "escapes", filled(rb"\u00e4", b'{"labels":["', b'"]}')
    yield "blanks", filled(b" ")
    for name, value in LEGAL.items():
        yield f"legal {name}", json.dumps({name: value}).encode()
    yield "legal labels and embeddings", json.dumps({k: LEGAL[k] for k in ("labels", "embeddings")}).encode()
    yield "legal labels and images", json.dumps({k: LEGAL[k] for k in ("labels", "images")}).encode()


def form_bodies() -> Iterator[tuple[str, bytes]]:
    def part(name: bytes, value: bytes) -> bytes:
        return b'--XX\r\nContent-Disposition: form-data; name="' + name + b'"\r\n\r\n' + value + b"\r\n"

    end = b"--XX--\r\n"
    yield "form: large fields", part(b"labels", b"a" * (1 << 20)) * 3 + end
    yield "form: small fields", filled(part(b"labels", b"a"), end=end)
    yield "form: JSON in a field", part(b"labels", b"[" + b"[]," * (1 << 20) + b"0]") + end
    yield "form: a file", part(b'images"; filename="a', b"a" * (BODY_BYTES - 200)) + end
    yield "form: a head", filled(b"a", b"--XX\r\nContent-Disposition: form-data; name=")


def bodies() -> Iterator[tuple[str, str, bytes]]:
    """Name, content type, body."""
    for name, body in json_bodies():
        yield name, "application/json", body
    for name, body in form_bodies():
        yield name, "multipart/form-data; boundary=XX", body
    yield "raw", "image/jpeg", bytes(BODY_BYTES)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(max_body_bytes=BODY_BYTES, request_timeout_s=REQUEST_TIMEOUT_S) as started:
        yield started


@pytest.fixture(scope="module")
def all_bodies() -> list[tuple[str, str, bytes]]:
    return list(bodies())


def liveness_timeout_s() -> float:
    """What our own manifest bears."""
    deployment, *_ = yaml.safe_load_all(MANIFEST.read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return float(container["livenessProbe"]["timeoutSeconds"])


class Memory:
    """The most that a process has held since `forget`, in MiB; Linux."""

    def __init__(self, pid: int) -> None:
        self._place = Path(f"/proc/{pid}")

    def forget(self) -> None:
        (self._place / "clear_refs").write_text("5")

    def peak(self) -> float:
        lines = (self._place / "status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def ask(server: Running, method: str, path: str, kind: str = "", body: bytes = b"") -> tuple[int, float]:
    """Status, and MiB of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body, {"Content-Type": kind, "Host": "localhost"})
        answer = connection.getresponse()
        return answer.status, len(answer.read()) / (1 << 20)
    except ConnectionError:
        return 0, 0.0  # refused and closed while it was sent
    finally:
        connection.close()


class Silence(threading.Thread):
    """The longest time in which /healthz did not answer, seconds."""

    def __init__(self, server: Running) -> None:
        super().__init__(daemon=True)
        self._server = server
        self.over = threading.Event()
        self.longest = 0.0

    def run(self) -> None:
        while not self.over.wait(0.02):
            began = time.monotonic()
            alive = ask(self._server, "GET", "/healthz")[0] == 200
            self.longest = max(self.longest, time.monotonic() - began if alive else PATIENCE_S)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
@pytest.mark.parametrize(("method", "path"), write_routes())
def test_the_largest_bodies_cost_little(
    server: Running, all_bodies: list[tuple[str, str, bytes]], method: str, path: str
) -> None:
    place = place_of(path)
    memory, silence = Memory(server.pid), Silence(server)
    silence.start()
    for name, kind, body in all_bodies:
        memory.forget()
        before = memory.peak()
        status, answered = ask(server, method, place, kind, body)
        assert status < 500 or status in (503, 504), name
        assert memory.peak() - before < GROWN_MIB + 2 * answered, name
    silence.over.set()
    silence.join()
    assert silence.longest < liveness_timeout_s()
    assert server.metric("candid_slots_taken") == 0
    assert server.metric("candid_buffer_bytes") == 0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
@pytest.mark.parametrize("kind", LARGE)
def test_many_large_answers_at_once_cost_little_more_than_the_buffer(kind: str) -> None:
    body = json.dumps(LARGE[kind]).encode()
    limits = {"max_buffer_bytes": BUFFER_BYTES, "max_body_bytes": 4 * BODY_BYTES}
    with running(dim=512, request_timeout_s=0.9 * PATIENCE_S, **limits) as server:
        memory, answered = Memory(server.pid), []
        for method, path in write_routes():
            memory.forget()
            before = memory.peak()
            statuses = [ask(server, method, place_of(path), "application/json", body)[0]]
            if statuses[0] < 400:  # else it is refused, at a cost that the test above measures
                with ThreadPoolExecutor(AT_ONCE) as callers:
                    asked = [
                        callers.submit(ask, server, method, place_of(path), "application/json", body)
                        for _ in range(AT_ONCE)
                    ]
                statuses = [future.result()[0] for future in asked]
            assert all(status < 500 or status in (503, 504) for status in statuses), path
            assert memory.peak() - before < BUFFER_BYTES / (1 << 20) + MADE_MIB, path
            answered += [path for status in statuses if status < 400]
        assert answered, "no route gives it"
        assert server.metric("candid_buffer_bytes") == 0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_many_large_fits_at_once_cost_no_more_than_one(tmp_path: Path) -> None:
    names = [f"label {i}" for i in range(1000)]
    truth = {"embeddings": [[1, 0, 0, 0]] * 5000, "labels": names * 5}
    with running(database_url=f"sqlite:///{tmp_path / 'sets.db'}") as server:
        path = "/v1/label-sets/fake"
        made = json.dumps({"labels": names}).encode()
        assert ask(server, "PUT", path, "application/json", made)[0] == 201
        memory, body = Memory(server.pid), json.dumps(truth).encode()
        memory.forget()
        before = memory.peak()
        with ThreadPoolExecutor(AT_ONCE) as callers:
            asked = [
                callers.submit(ask, server, "POST", f"{path}/calibration", "application/json", body)
                for _ in range(AT_ONCE)
            ]
        statuses = [future.result()[0] for future in asked]
        assert set(statuses) <= {200, 412, 503, 504} and 503 in statuses
        assert memory.peak() - before < 300 + MADE_MIB


def test_readiness_waits_for_nobodys_work() -> None:
    tensors = [tensor("IMAGE", [PIXEL.decode()] * 64), tensor("LABELS", LABELS[:2000])]
    body = json.dumps({"inputs": tensors}).encode()
    with running(request_timeout_s=REQUEST_TIMEOUT_S) as server, ThreadPoolExecutor(WORKING) as callers:
        path = "/v2/models/fake/infer"
        asked = [callers.submit(ask, server, "POST", path, "application/json", body) for _ in range(WORKING)]
        while server.metric("candid_slots_taken") < WORKING:
            assert not any(future.done() for future in asked)
            time.sleep(0.02)
        assert ask(server, "GET", "/readyz")[0] == 200
        assert server.metric("candid_slots_taken") > WORKING // 2, "it waited until they were done"
        assert {future.result()[0] for future in asked} <= {200, 504}


def test_every_route_is_held_to_this() -> None:
    described = create_app(Settings(), {}).openapi()["paths"]
    known = set(write_routes())
    for path, operations in described.items():
        for method in operations:
            assert method.upper() not in ("POST", "PUT", "PATCH") or (method.upper(), path) in known
    assert ("POST", "/clip/compare") in known, "those that are in no description, too"
