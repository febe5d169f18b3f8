"""kill -9 under acknowledged writes of label sets and examples, again and again: what is gone afterwards.

python -m bench.resilience.kill --times 20
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from bench.resilience.service import CAT, Service, serving
from tests import postgres

WRITERS: Final = 4  # of sets, and as many of examples
TAUGHT: Final = "/v1/label-sets/taught"
EXAMPLES: Final = f"{TAUGHT}/labels/cat/examples"


class Acknowledged:
    """What callers were told is kept."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}  # the last one of each set
        self.examples: set[str] = set()  # ids
        self.count = 0
        self._lock = threading.Lock()

    def set(self, name: str, number: int) -> None:
        with self._lock:
            self.numbers[name] = number
            self.count += 1

    def example(self, id_: str) -> None:
        with self._lock:
            self.examples.add(id_)
            self.count += 1


def ask(service: Service, method: str, path: str, body: Any = None) -> Any:
    """The answer's JSON; raises when there is none or it is an error."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    is_picture = isinstance(body, bytes)
    kind = "image/jpeg" if is_picture else "application/json"
    try:
        connection.request(method, path, body if is_picture else json.dumps(body), {"Content-Type": kind})
        answer = connection.getresponse()
        said = json.loads(answer.read())
        if answer.status >= 300:
            raise ConnectionError(said)
        return said
    finally:
        connection.close()


def lost(service: Service, told: Acknowledged) -> int:
    """Acknowledged writes that are not there."""
    gone = 0
    for name, number in told.numbers.items():
        kept = ask(service, "GET", f"/v1/label-sets/{name}")
        gone += max(0, number - int(kept["labels"][0]["label"]))
    if told.examples:
        gone += len(told.examples - {each["id"] for each in ask(service, "GET", EXAMPLES)["data"]})
    return gone


def write_until_killed(service: Service, told: Acknowledged, turn: int, chance: random.Random) -> None:
    """Each set's label is a number that goes up; each example is another picture."""

    def put(name: str) -> None:
        number = told.numbers.get(name, 0) + 2  # the last one may be there without having been told of
        while True:
            ask(service, "PUT", f"/v1/label-sets/{name}", {"labels": [str(number)]})
            told.set(name, number)
            number += 1

    def teach(name: str) -> None:
        number = 0
        while True:
            added = ask(service, "POST", EXAMPLES, CAT + f"{name} {turn} {number}".encode())
            told.example(added["results"][0]["id"])
            number += 1

    def until_gone(work: Callable[[str], None], name: str) -> None:
        try:
            work(name)
        except (OSError, ValueError, http.client.HTTPException):
            return

    threads = [
        threading.Thread(target=until_gone, args=(work, f"{work.__name__}{i}"))
        for work in (put, teach)
        for i in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    threads[0].join(0.5 + chance.random())
    service.process.kill()
    for thread in threads:
        thread.join()


def measure(times: int = 5, database_url: str | None = None) -> dict[str, Any]:
    """Kills, acknowledged writes, and how many of them were gone."""
    told, gone, chance = Acknowledged(), 0, random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        url = database_url or f"sqlite:///{Path(folder) / 'candid.db'}"
        for turn in range(times):
            with serving(log_level="error", database_url=url) as service:
                if turn == 0:
                    ask(service, "PUT", TAUGHT, {"labels": ["cat"]})
                gone += lost(service, told)
                write_until_killed(service, told, turn, chance)
        with serving(log_level="error", database_url=url) as service:
            gone += lost(service, told)
    return {"kills": times, "acknowledged": told.count, "lost": gone}


def measure_both(times: int = 5) -> dict[str, Any]:
    """SQLite, and PostgreSQL where it is installed."""
    found: dict[str, Any] = {}
    found["sqlite"] = measure(times)
    try:
        with postgres.server() as url:
            found["postgresql"] = measure(times, url)
    except pytest.skip.Exception as why:
        found["postgresql"] = str(why)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    print(json.dumps(measure_both(parser.parse_args().times)))
