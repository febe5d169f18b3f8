"""A database that keeps its callers waiting keeps nobody else waiting: through a real server."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.storage.tables import CONNECT_TIMEOUT_S
from tests import postgres
from tests.app.server_process import running

BODY = json.dumps({"labels": ["cat", "dog"]}).encode()


def put(name: str) -> bytes:
    head = f"PUT /v1/label-sets/{name} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def test_who_waits_for_a_write_lock_keeps_neither_readers_nor_health_waiting(tmp_path: Path) -> None:
    file = tmp_path / "sets.db"
    with (
        running(database_url=f"sqlite:///{file}", max_slots=64) as server,
        ThreadPoolExecutor(24) as callers,
    ):
        assert server.ask(put("pets"))[0] == 201
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = [callers.submit(server.ask, put(f"set-{n}")) for n in range(24)]
        for path in ("/readyz", "/healthz", "/v1/label-sets/pets", "/v1/label-sets"):
            assert server.ask(get(path))[0] == 200
        assert not any(future.done() for future in waiting), "they wait for the lock, which is held"
        other.execute("ROLLBACK")
        other.close()
        assert {future.result()[0] for future in waiting} == {201}


def test_a_server_that_never_answers_is_waited_for_once() -> None:
    """Not by one caller after the other, each for as long as it takes to give up; and by nothing else."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        url = f"postgresql://candid@127.0.0.1:{silent.getsockname()[1]}/candid"
        with running(database_url=url, max_slots=64) as server, ThreadPoolExecutor(24) as callers:
            began = time.monotonic()
            waiting = [callers.submit(server.ask, get("/v1/label-sets")) for _ in range(24)]
            while not all(future.done() for future in waiting):
                assert server.ask(get("/readyz"))[0] == 200
            assert {future.result()[0] for future in waiting} == {503}
            assert time.monotonic() - began < 6 * CONNECT_TIMEOUT_S, "24 of them would take 120 s in turn"


def test_a_server_that_falls_silent_is_not_waited_for_by_all_nor_by_the_end() -> None:
    with (
        postgres.server() as url,
        running(database_url=url, request_timeout_s=8) as server,
        ThreadPoolExecutor(24) as callers,
    ):
        assert server.ask(put("pets"))[0] == 201
        with postgres.frozen(url):
            waiting = [callers.submit(server.ask, get("/v1/label-sets/pets")) for _ in range(12)]
            waiting += [callers.submit(server.ask, put(f"set-{n}")) for n in range(12)]
            assert server.ask(get("/readyz"))[0] == 200
            statuses = [future.result()[0] for future in waiting]
            # One waits on the connection that was open, the others for one: they are told.
            assert set(statuses) <= {503, 504} and statuses.count(504) <= 1
            assert server.stop() == 0, "its end waits for no thread that waits for the database"
