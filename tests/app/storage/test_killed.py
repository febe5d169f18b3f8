"""A real `candid serve`: changes from many sides at once, and what is left of them after kill -9."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fork_server import CANDID
from tests.postgres import server as postgres
from tests.server import Server

WRITERS = 4


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'sets.db'}"
    else:
        with postgres() as url:
            yield url


def ask(server: Server, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(server.address, timeout=60)
    try:
        sent = None if body is None else json.dumps(body)
        connection.request(
            method, f"/v1/label-sets{path}", sent, {"Content-Type": "application/json", **headers}
        )
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or "null")
    finally:
        connection.close()


def started(folder: Path, database_url: str, program: Path = CANDID) -> Server:
    server = Server(folder, program, database_url=database_url)
    server.wait_until_ready()
    return server


def test_every_acknowledged_change_survives_kill_9_and_of_rivals_one_wins(
    tmp_path: Path, database_url: str, candid: Path
) -> None:
    server = started(tmp_path, database_url)
    try:
        status, made = ask(server, "PUT", "/shared", {"labels": ["cat"]})
        assert (status, made["version"]) == (201, 1)
        won, lost = rivals(server)
        assert (len(won), lost) == (1, [412] * (WRITERS - 1))

        acknowledged = written_until_killed(server, after=40)
    finally:
        server.process.kill()
        server.process.wait()
    server = started(tmp_path, database_url, candid)
    try:
        _, shared = ask(server, "GET", "/shared")
        assert shared["version"] == 2 and shared["labels"][0]["label"] == won[0]
        assert sum(map(len, acknowledged.values())) >= 40
        for name, numbers in acknowledged.items():
            _, kept = ask(server, "GET", f"/{name}")
            # The last one may have been written without its writer hearing of it.
            assert kept["version"] - len(numbers) in (0, 1)
            assert int(kept["labels"][0]["label"]) - numbers[-1] in (0, 1)
    finally:
        server.stop()


def rivals(server: Server) -> tuple[list[str], list[int]]:
    """Everybody believes in version 1 and writes a label of their own: who won, and what the others got."""
    won: list[str] = []
    lost: list[int] = []
    start = threading.Barrier(WRITERS)

    def write(label: str) -> None:
        start.wait()
        status, _ = ask(server, "PUT", "/shared", {"labels": [label]}, **{"If-Match": '"1"'})
        if status == 200:
            won.append(label)
        else:
            lost.append(status)

    in_threads(write)
    return won, lost


def written_until_killed(server: Server, *, after: int) -> dict[str, list[int]]:
    """Each writer numbers its set's label anew, again and again; the numbers that were acknowledged.

    Nobody is killed before every writer had a turn: SQLite does not hand them out fairly.
    """
    acknowledged: dict[str, list[int]] = {f"w{i}": [] for i in range(WRITERS)}
    enough = threading.Event()

    def write(name: str) -> None:
        try:
            for number in range(100_000):
                status, _ = ask(server, "PUT", f"/{name}", {"labels": [str(number)]})
                assert status in (200, 201)
                acknowledged[name].append(number)
                if all(acknowledged.values()) and sum(map(len, acknowledged.values())) >= after:
                    enough.set()
        except (OSError, http.client.HTTPException):  # the server is gone
            enough.set()

    def kill() -> None:
        enough.wait()
        server.process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    in_threads(write)
    killer.join()
    return acknowledged


def in_threads(work: Any) -> None:
    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
