"""A PostgreSQL server of the tests' own: made, started and thrown away, never as root."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

START_TIMEOUT_S = 60


def program(name: str) -> str | None:
    """Where the server's program is; Debian keeps them out of PATH."""
    found = shutil.which(name)
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return found or (str(versions[-1]) if versions else None)


def _user() -> str | None:
    """Whom to run as: None is ourselves; PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


@dataclass
class Postgres:
    """A server that can be killed and started again."""

    folder: Path
    program: str
    user: str | None
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://candid@/postgres?host={self.folder}"

    def start(self) -> None:
        """Until it takes connections."""
        command = [self.program, "-D", str(self.folder / "data"), "-k", str(self.folder)]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "-c", "listen_addresses="],
                stdout=log,
                stderr=log,
                user=self.user,
                cwd=self.folder,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while b"ready to accept connections" not in (self.folder / "log").read_bytes():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """By default PostgreSQL's fast shutdown, which does not wait for clients; SIGQUIT is its crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None


@contextmanager
def server() -> Iterator[str]:
    """The URL of an empty database; the test is skipped, with the reason, where there is no PostgreSQL."""
    with instance() as postgres:
        yield postgres.url


@contextmanager
def instance() -> Iterator[Postgres]:
    """The same, to be killed and started again."""
    initdb, postgres = program("initdb"), program("postgres")
    if initdb is None or postgres is None:
        pytest.skip("needs PostgreSQL's server programs (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'candid[postgres]'")
    user = _user()
    if os.geteuid() == 0 and user is None:
        pytest.skip("PostgreSQL does not run as root, and there is no other user here")
    folder = Path(tempfile.mkdtemp(prefix="candid-pg-"))  # short: a socket's path has 107 characters at most
    running = Postgres(folder, postgres, user)
    make = [initdb, "-D", str(folder / "data"), "-U", "candid", "-A", "trust", "-E", "UTF8", "--locale=C"]
    try:
        if user is not None:
            shutil.chown(folder, user)
        subprocess.run([*make, "--no-sync"], check=True, stdout=subprocess.DEVNULL, user=user, cwd=folder)
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def frozen(url: str) -> Iterator[None]:
    """The server at `url` of `server` is there and answers nothing, as one whose disk hangs."""
    folder = Path(url.partition("host=")[2])
    main = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
    children = Path(f"/proc/{main}/task/{main}/children")
    if not children.exists():
        pytest.skip("needs Linux' list of a process' children")
    stopped = [main, *map(int, children.read_text().split())]
    for process in stopped:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)
