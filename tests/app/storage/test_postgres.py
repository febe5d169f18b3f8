"""PostgreSQL that is killed, restarted, locked or slow: what callers of a real server are told meanwhile."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import postgres
from tests.app.server_process import Running, running
from tests.app.storage.test_locked import get, put
from tests.postgres import Postgres

psycopg = pytest.importorskip("psycopg", reason="needs psycopg: pip install 'candid[postgres]'")

PATIENCE_S = 120
PETS = "/v1/label-sets/pets"
SLOW = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END $$;
CREATE TRIGGER dawdle BEFORE INSERT OR UPDATE ON candid_label_sets FOR EACH ROW EXECUTE FUNCTION dawdle();
"""


@pytest.fixture
def database() -> Iterator[Postgres]:
    with postgres.instance() as started:
        yield started


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def unharmed(server: Running) -> bool:
    """Whether what needs no database is answered."""
    return [server.ask(request)[0] for request in (get("/healthz"), get("/readyz"))] == [200, 200] and (
        server.ask()[0] == 200
    )


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT])  # a crash, and an orderly restart
def test_one_that_ends_is_told_and_used_again_once_it_is_back(
    database: Postgres, how: signal.Signals
) -> None:
    with running(database_url=database.url) as server:
        assert server.ask(put("pets"))[0] == 201
        database.stop(how)
        for request in (get(PETS), put("pets"), get("/v1/label-sets"), put("birds")):
            status, headers, body = server.ask(request)
            assert (status, json.loads(body)["error"]["code"]) == (503, "store_unavailable")
            assert "retry-after" in headers and str(database.folder) not in body.decode()
        assert unharmed(server)
        database.start()
        until(lambda: server.ask(get(PETS))[0] == 200)
        assert json.loads(server.ask(get(PETS))[2])["version"] == 1
        until(lambda: server.ask(put("pets"))[0] == 200)


def test_writes_under_way_when_it_crashes_are_there_or_were_not_acknowledged(database: Postgres) -> None:
    with running(database_url=database.url) as server, ThreadPoolExecutor(8) as callers:
        assert server.ask(put("pets"))[0] == 201
        waiting = [callers.submit(server.ask, put(f"set-{n}")) for n in range(40)]
        until(lambda: sum(future.done() for future in waiting) > 5)
        database.stop(signal.SIGQUIT)
        statuses = {f"set-{n}": future.result()[0] for n, future in enumerate(waiting)}
        assert set(statuses.values()) <= {201, 503}
        database.start()
        until(lambda: server.ask(get(PETS))[0] == 200)
        kept = {each["name"] for each in json.loads(server.ask(get("/v1/label-sets"))[2])["data"]}
        assert {name for name, status in statuses.items() if status == 201} <= kept


def test_a_set_that_another_holds_keeps_only_its_own_writers_waiting(database: Postgres) -> None:
    with running(database_url=database.url) as server, ThreadPoolExecutor(3) as callers:
        assert server.ask(put("pets"))[0] == 201
        with psycopg.connect(database.url) as other:
            other.execute("SELECT * FROM candid_label_sets WHERE name = 'pets' FOR UPDATE")
            waiting = [callers.submit(server.ask, put("pets")) for _ in range(3)]
            for request in (get(PETS), get("/v1/label-sets"), put("birds")):
                assert server.ask(request)[0] in (200, 201)
            assert unharmed(server)
            other.rollback()
        assert {future.result()[0] for future in waiting} <= {200, 503}, "they have the lock, or gave up"
        assert server.ask(put("pets"))[0] == 200


def test_a_slow_one_keeps_nobody_waiting_who_does_not_write(database: Postgres) -> None:
    with running(database_url=database.url, request_timeout_s=8) as server, ThreadPoolExecutor(8) as callers:
        assert server.ask(put("pets"))[0] == 201
        with psycopg.connect(database.url) as other:
            other.execute(SLOW.format(seconds=30))
        waiting = [callers.submit(server.ask, put(f"set-{n}")) for n in range(8)]
        assert [server.ask(get(path))[0] for path in (PETS, "/v1/label-sets")] == [200, 200]
        assert unharmed(server)
        assert {future.result()[0] for future in waiting} == {504}
        assert server.metric("candid_slots_taken") == 0
