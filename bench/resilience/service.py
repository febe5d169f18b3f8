"""A service in a process of its own, and what is asked and seen of it from outside."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CAT = (ROOT / "docs" / "images" / "cat.jpg").read_bytes()
START = "from app.cli.main import app; app()"
MIB = 1 << 20


@dataclass
class Service:
    """`candid serve` on a free port of the loopback address."""

    process: subprocess.Popen[bytes]
    port: int

    def connect(self) -> socket.socket:
        """A connection with a minute's patience."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> int:
        """The status of one request on a connection of its own; 0 when there is no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def read(self, path: str) -> Any:
        """The JSON of a GET."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return json.load(answer)

    def metric(self, name: str) -> float:
        """One number of /metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))

    def memory(self) -> float:
        """Resident MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MIB

    def stop(self) -> float:
        """Seconds from SIGTERM to the end."""
        began = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=120)
        return time.perf_counter() - began


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(**settings: object) -> Iterator[Service]:
    """A service that answers; it is ended when the block ends."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        given = {f"CANDID_{name.upper()}": str(value) for name, value in settings.items()}
        environment = {**os.environ, "CANDID_DATABASE_URL": f"sqlite:///{folder}/candid.db", **given}
        command = [sys.executable, "-c", START, "serve", "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        service = Service(process, port)
        try:
            while service.ask("GET", "/readyz") != 200:
                if process.poll() is not None:
                    raise RuntimeError("the service has ended while it started")
                time.sleep(0.1)
            yield service
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


@dataclass
class Seen:
    """What was seen of a service while something was done to it."""

    before_mib: float
    peak_mib: float = 0.0
    healthz_ms: list[float] = field(default_factory=list)

    @property
    def grown_mib(self) -> float:
        """How much the memory grew at most."""
        return max(0.0, self.peak_mib - self.before_mib)

    @property
    def slowest_ms(self) -> float:
        """The longest wait for /healthz."""
        return max(self.healthz_ms, default=0.0)


@contextmanager
def watched(service: Service) -> Iterator[Seen]:
    """Memory every 5 ms, and how long /healthz takes to answer, one request after the other."""
    seen = Seen(service.memory())
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            with suppress(OSError, ValueError):
                seen.peak_mib = max(seen.peak_mib, service.memory())

    def ask() -> None:
        while not over.wait(0.02):
            began = time.perf_counter()
            service.ask("GET", "/healthz")
            seen.healthz_ms.append((time.perf_counter() - began) * 1e3)

    threads = [threading.Thread(target=work) for work in (look, ask)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()


def at_once(count: int, work: Callable[[], object]) -> None:
    """`work` on so many threads, until all are done."""
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
