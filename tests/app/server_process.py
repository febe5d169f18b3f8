"""A real server in a process of its own, around a fake classifier that takes a given time for each request.

python -m tests.app.server_process '{"settings": {"port": 0}, "seconds": 0.01}'
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tests import fork_server
from tests.app.fakes import FakeClassifier

ROOT = Path(__file__).parents[2]
BODY = b'{"input": "a cat"}'
ASK = (
    b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY)
) + BODY


class SlowClassifier(FakeClassifier):
    """One after the other, like a device: so many seconds each."""

    def __init__(self, seconds: float, dim: int) -> None:
        super().__init__()
        self.info.embed_dim = dim
        self._seconds = seconds
        self._worked = 0
        self._made = time.monotonic()
        self._queue: SimpleQueue[tuple[Future[Any], int]] = SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def embed_texts(self, texts: Sequence[str], *, deadline: float | None = None) -> Future[Any]:
        done: Future[Any] = Future()
        self._queue.put((done, len(texts)))
        return done

    def stats(self) -> dict[str, float]:
        return {"worked_total": self._worked}

    def lost_after(self, seconds: float | None) -> str | None:
        """Why it is lost, so many seconds after it was made."""
        lost = seconds is not None and time.monotonic() >= self._made + seconds
        return "the test's model has died" if lost else None

    def _work(self) -> None:
        while True:
            done, count = self._queue.get()
            if done.set_running_or_notify_cancel():
                time.sleep(self._seconds)
                self._worked += 1
                done.set_result(self.vectors(count))


def main() -> None:
    from app.http import server
    from app.http.logging import configure_logging
    from app.main import create_app
    from app.settings import Settings

    sys.stderr.write(f"process {os.getpid()}\n")
    given = json.loads(sys.argv[1])
    settings = Settings(**given["settings"])
    configure_logging(settings.log_level)
    server.LOST_S = 1.0  # type: ignore[misc]
    slow: Any = SlowClassifier(given["seconds"], given["dim"])
    app = create_app(settings, {"fake": slow})
    sys.exit(server.serve(app, settings, lambda: slow.lost_after(given["lost_after"])))


@dataclass
class Running:
    """What waits for it, passes signals on and dies with it; its own process; its port."""

    process: subprocess.Popen[str]
    pid: int
    port: int
    log: list[str]  # its lines so far

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def ask(self, request: bytes = ASK) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_answer(connection)

    def metric(self, name: str) -> float:
        """One number of /metrics."""
        _, _, body = self.ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        [line] = [line for line in body.decode().splitlines() if line.startswith(name)]
        return float(line.rpartition(" ")[2])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextmanager
def running(
    seconds: float = 0.0, lost_after: float | None = None, dim: int = 4, **settings: Any
) -> Iterator[Running]:
    """A server that answers; it is ended when the block ends, if the test has not done so."""
    given = json.dumps(
        {
            "settings": {"port": 0, **settings},
            "seconds": seconds,
            "lost_after": lost_after,
            "dim": dim,
        }
    )
    command = [*fork_server.module("tests.app.server_process"), given]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = ""
        for line in process.stderr:
            said += line
            if "running on http://" in line:
                break
        else:
            raise AssertionError(f"the server did not start: {said}")
        (pid,) = re.findall(r"^process (\d+)$", said, re.MULTILINE)
        (port,) = re.findall(r"running on http://127\.0\.0\.1:(\d+)", said)
        log: list[str] = []
        drain = threading.Thread(target=lambda: list(map(log.append, process.stderr or ())), daemon=True)
        drain.start()
        yield Running(process, int(pid), int(port), log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        drain.join()
        process.stderr.close()


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one answer. Raises ConnectionError when it ends too early."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    if status.split()[1] == "100":
        return 100, {}, body
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += _more(connection)
    return int(status.split()[1]), headers, body


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("closed before the answer was whole")
    return data


if __name__ == "__main__":
    main()
