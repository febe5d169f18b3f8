"""Clients for the benchmarks: how many at once, how long each request took. Plain threads and http.client."""

from __future__ import annotations

import http.client
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Post = Callable[[http.client.HTTPConnection], None]


@dataclass(slots=True)
class Timing:
    """What a burst of requests took."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)  # seconds
    errors: int = 0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

    @property
    def median(self) -> float:
        return statistics.median(self.latencies) if self.latencies else float("nan")


def burst(port: int, post: Post, *, clients: int, seconds: float) -> Timing:
    """`clients` threads that each send one request after the other for `seconds`."""
    timing, lock = Timing(), threading.Lock()
    started = time.perf_counter()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while time.perf_counter() - started < seconds:
            before = time.perf_counter()
            try:
                post(connection)
            except Exception:
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


def form(
    files: Sequence[tuple[str, bytes]], fields: Sequence[tuple[str, str]]
) -> tuple[bytes, dict[str, str]]:
    """A multipart body and its headers."""
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
    return b"".join(parts), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def poster(path: str, bodies: Sequence[tuple[bytes, dict[str, str]]]) -> Post:
    """A request that takes the bodies in turn and raises unless the answer is 200."""
    turn = iter(range(1 << 60))

    def post(connection: http.client.HTTPConnection) -> None:
        body, headers = bodies[next(turn) % len(bodies)]
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {data[:200]!r}")

    return post
