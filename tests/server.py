"""A real server, started as a user starts it: `candid serve` in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.fork_server import CANDID

START_TIMEOUT_S = 300  # on a machine that does much else


class Server:
    """`candid serve` on a free port, by the installed program or another; settings without their prefix."""

    def __init__(self, folder: Path, program: Path = CANDID, **settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = folder / f"server-{self.port}.log"
        environment = {**os.environ, "CANDID_DATABASE_URL": f"sqlite:///{folder}/candid-{self.port}.db"}
        environment |= {f"CANDID_{name.upper()}": value for name, value in settings.items()}
        command = [str(program), "serve", "--port", str(self.port)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def wait_until_ready(self) -> None:
        """Raises AssertionError with the log when the process ends or takes too long."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        self.process.kill()
        self.process.wait()
        raise AssertionError(f"the server did not become ready:\n{self.log.read_text()}")

    def stop(self) -> int:
        """SIGTERM, as an orchestrator does it; the exit status."""
        self.process.terminate()
        return self.process.wait(timeout=60)
