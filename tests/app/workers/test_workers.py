"""`candid serve --workers 2` as a user starts it: the same answers, and what happens when a process dies."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fork_server import CANDID
from tests.server import Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="needs SO_REUSEPORT"),
]

ROOT = Path(__file__).parents[3]
WORKERS = 2
CLASSIFY = "/v1/classify?labels=cat&labels=dog&labels=rocket"
CALLERS = 6
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For the tests that only ask, or kill a front."""
    started = start(tmp_path_factory.mktemp("workers"))
    yield started
    assert started.stop() == 0


def start(folder: Path, **settings: str) -> Server:
    started = Server(folder, workers=str(WORKERS), image_cache_bytes="0", log_level="warning", **settings)
    started.wait_until_ready()
    return started


def fronts(server: Server) -> set[int]:
    """The processes below the one that has the models."""
    found = subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True)
    return set(map(int, found.stdout.split()))


def ask(server: Server, path: str, body: bytes | None = None, kind: str = "image/jpeg") -> Any:
    """On a connection of its own, so that any front may get it."""
    request = urllib.request.Request(server.url + path, data=body, headers={"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return answer.read()


def counted(server: Server, name: str) -> float:
    """All samples of a metric together."""
    lines = ask(server, "/metrics").decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(name + r"[ {]", line))


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(what: Any) -> None:
    until = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


class Load:
    """Callers that send one picture after the other, each on its own connection, while the block lasts.

    Who was cut off waits a little: a process that was killed closes its connections before its port.
    """

    def __init__(self, server: Server, picture: bytes) -> None:
        self.statuses: Counter[str] = Counter()
        self._server, self._picture = server, picture
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        wait_for(lambda: self.statuses["200"] > CALLERS)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        while not self._over.is_set():
            try:
                ask(self._server, CLASSIFY, self._picture)
                self.statuses["200"] += 1
            except urllib.error.HTTPError as error:
                self.statuses[str(error.code)] += 1
            except OSError as error:
                reason = error.reason if isinstance(error, urllib.error.URLError) else error
                self.statuses[type(reason).__name__] += 1
                time.sleep(0.2)


def test_the_answers_are_those_of_one_process(
    workers: Server, server: Server, photographs: Mapping[str, bytes]
) -> None:
    texts = json.dumps({"input": ["a cat", "a dog on a beach"]}).encode()
    asked = [(CLASSIFY, data, "image/jpeg") for data in photographs.values()]
    for question in (*asked, ("/v1/embeddings", texts, "application/json")):
        alone, *found = (json.loads(ask(each, *question)) for each in (server, *[workers] * 4))
        for answer in (alone, *found):
            answer.pop("timing_ms", None)
        assert found == [alone] * 4, "in every digit"


def test_metrics_are_those_of_all_fronts(workers: Server, cat: bytes) -> None:
    before = counted(workers, "candid_images_encoded_total"), counted(workers, "candid_requests_total")
    for _ in range(20):
        ask(workers, CLASSIFY, cat)
    after = counted(workers, "candid_images_encoded_total"), counted(workers, "candid_requests_total")
    assert after[0] - before[0] == 20
    assert after[1] - before[1] >= 20
    started = counted(workers, "process_start_time_seconds")
    assert time.time() - 3600 < started <= time.time()


def test_a_label_set_that_one_front_changes_is_seen_by_all(workers: Server, cat: bytes) -> None:
    for labels in (["cat", "dog"], ["bicycle", "boat", "train"]):
        request = urllib.request.Request(
            f"{workers.url}/v1/label-sets/shared", json.dumps({"labels": labels}).encode(), method="PUT"
        )
        request.add_header("Content-Type", "application/json")
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()
        for _ in range(8):
            answer = json.loads(ask(workers, "/v1/classify?label_set=shared", cat))
            assert {rank["label"] for rank in answer["results"][0]["ranking"]} == set(labels)


def test_a_front_that_dies_is_started_again_and_the_others_answer(workers: Server, cat: bytes) -> None:
    before = fronts(workers)
    assert len(before) == WORKERS
    with Load(workers, cat) as load:
        os.kill(min(before), signal.SIGKILL)
        wait_for(lambda: len(fronts(workers) - {min(before)}) == WORKERS)
        answered = load.statuses["200"]
        wait_for(lambda: load.statuses["200"] > answered + 2 * CALLERS)
    lost = load.statuses.total() - load.statuses["200"]
    assert lost <= CALLERS, f"only what it was working on: {load.statuses}"
    wait_for(lambda: counted(workers, "candid_slots_taken") == 0)


def test_a_signal_ends_all_and_no_request_is_lost(tmp_path: Path, cat: bytes) -> None:
    server = start(tmp_path)
    processes = fronts(server)
    with Load(server, cat) as load:
        assert server.stop() == 0
    assert set(load.statuses) <= {"200", "503", "ConnectionRefusedError"}, load.statuses
    assert not any(map(alive, processes))


def test_fronts_end_with_the_process_that_has_the_models(tmp_path: Path) -> None:
    server = start(tmp_path)
    processes = fronts(server)
    server.process.kill()
    server.process.wait()
    wait_for(lambda: not any(map(alive, processes)))


def test_what_keeps_a_front_from_starting_ends_the_service(tmp_path: Path) -> None:
    first, second = (tmp_path / name / "same" for name in ("a", "b"))
    for folder in (first, second):
        folder.parent.mkdir()
        folder.symlink_to(ROOT / "models" / "embedded")
    command = [CANDID, "serve", "--workers", "2", "--port", "0", "--model", str(first), "--also", str(second)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1
    assert "rename one of the directories" in done.stderr


def test_a_port_that_is_taken_is_told(workers: Server) -> None:
    command = [CANDID, "serve", "--workers", "2", "--port", str(workers.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{workers.port}" in done.stderr
