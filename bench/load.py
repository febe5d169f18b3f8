"""Clients for the benchmarks: how many at once, how long each turn took. Plain threads and http.client."""

from __future__ import annotations

import http.client
import json
import statistics
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Request(NamedTuple):
    """A POST."""

    path: str
    body: bytes
    headers: dict[str, str]


Turn = Sequence[Request]
"""What a client sends for one answer, one request after the other on one connection."""


@dataclass(slots=True)
class Timing:
    """What a burst of turns took."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)  # seconds
    errors: int = 0

    @property
    def rate(self) -> float:
        """Turns per second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.latencies) if self.latencies else float("nan")


def burst(port: int, turns: Iterator[Turn], *, clients: int, seconds: float = float("inf")) -> Timing:
    """`clients` threads that take the next turn until there is none, or none is begun after `seconds`."""
    timing, lock = Timing(), threading.Lock()
    started = time.perf_counter()

    def client() -> None:
        connection = connect(port)
        while time.perf_counter() - started < seconds:
            with lock:
                turn = next(turns, None)
            if turn is None:
                break
            before = time.perf_counter()
            try:
                ask(connection, turn)
            except (OSError, http.client.HTTPException, RuntimeError):
                connection.close()
                with lock:
                    timing.errors += 1
                continue
            with lock:
                timing.latencies.append(time.perf_counter() - before)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    timing.seconds = time.perf_counter() - started
    return timing


def connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=600)


def ask(connection: http.client.HTTPConnection, turn: Turn) -> list[bytes]:
    """The answers' bodies; raises RuntimeError unless each is a 200."""
    bodies = []
    for path, body, headers in turn:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        bodies.append(answer.read())
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {bodies[-1][:200]!r}")
    return bodies


def metrics(port: int) -> dict[str, float]:
    """What Candid's /metrics says of its only model, by name."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return {line.split("{")[0]: float(line.rsplit(" ", 1)[1]) for line in lines if "{model=" in line}


def form(path: str, files: Sequence[tuple[str, bytes]], fields: Sequence[tuple[str, str]]) -> Request:
    """A multipart body."""
    boundary = uuid.uuid4().hex
    parts = []
    for name, value in fields:
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        )
    for name, data in files:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="a.jpg"\r\n'
        parts.append(head.encode() + b"Content-Type: image/jpeg\r\n\r\n" + data + b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return Request(path, b"".join(parts), {"Content-Type": f"multipart/form-data; boundary={boundary}"})


def document(path: str, value: Any) -> Request:
    """A JSON body."""
    return Request(path, json.dumps(value).encode(), {"Content-Type": "application/json"})
