"""`candid serve --workers N`: this process has the models, starts the fronts, and starts anew what dies.

All fronts listen on the same port by SO_REUSEPORT; the kernel divides the connections among them.
"""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from app.http.server import LOST_S
from app.serve import begin
from app.settings import Settings
from app.workers.messages import Slots, Welcome, unnamed_file
from app.workers.owner import Line, Lines, Owner
from models.errors import CandidError

logger = logging.getLogger(__name__)

LOOK_S: Final = 0.1
AGAIN_S: Final = 1.0
"""Before a front that died is started again."""
END_S: Final = 5.0
"""For a front to end after the time that its requests have to finish."""


@dataclass(slots=True)
class Front:
    """One front process."""

    process: subprocess.Popen[bytes]
    line: Line
    number: int
    died_at: float | None = None  # time.monotonic()


def run(settings: Settings) -> int:
    """Answer until a signal ends it, or until a model is lost; the process's exit status."""
    begin(settings)
    if not hasattr(socket, "SO_REUSEPORT"):
        logger.critical("workers: this system cannot let several processes listen on one port")
        return 1
    try:
        owner = Owner(settings)
    except CandidError as error:
        logger.critical(error.message)
        return 1
    try:
        with reserved(settings.host, settings.port) as listener:
            host, port = listener.getsockname()[:2]
            logger.info("%d fronts listen on http://%s:%d", settings.workers, host, port)
            return Supervisor(settings, owner, listener).run()
    except OSError as error:
        logger.critical("cannot listen on %s:%d: %s", settings.host, settings.port, error.strerror or error)
        return 1
    finally:
        owner.close()


class Supervisor:
    """Keeps as many fronts as are wanted."""

    def __init__(self, settings: Settings, owner: Owner, listener: socket.socket) -> None:
        self._settings, self._owner, self._listener = settings, owner, listener
        self._lines = Lines()
        self._ending = False

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._ending = True  # no more than this: a lock may be held by what the signal came upon

    def run(self) -> int:
        """Until a signal comes, a model is lost, or a front cannot start; the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        fronts = [self._start(number) for number in range(self._settings.workers)]
        status = 0
        try:
            while not self._ending and status == 0:
                time.sleep(LOOK_S)
                if (why := self._owner.lost()) is not None:
                    logger.critical("%s; the service ends in %g s, to be started again", why, LOST_S)
                    time.sleep(LOST_S)
                    status = 1
                for at, front in enumerate(fronts):
                    if front.process.poll() is None:
                        continue
                    if not front.line.ready.is_set():
                        status = 1  # it has said why; another one would fail likewise
                    elif front.died_at is None:
                        front.died_at = time.monotonic()
                        logger.error("front %d has died: %s", front.number, front.process.returncode)
                    elif time.monotonic() >= front.died_at + AGAIN_S:
                        fronts[at] = self._start(front.number)
        finally:
            status = max(status, end(fronts, self._settings.shutdown_timeout_s + END_S))
        return status

    def _start(self, number: int) -> Front:
        ours, theirs = multiprocessing.Pipe()
        with theirs, unnamed_file(self._owner.slots * self._owner.slot_bytes) as file:
            slots = Slots(file, self._owner.slots, self._owner.slot_bytes)
            inherited = (theirs.fileno(), file)
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "app.workers.front", *map(str, inherited)],
                pass_fds=inherited,
            )
        line = Line(self._owner, ours, slots, self._lines)
        line.send(self._welcome(number))
        threading.Thread(target=line.listen, name=f"candid-front-{number}", daemon=True).start()
        return Front(process, line, number)

    def _welcome(self, number: int) -> Welcome:
        """A front's share of what is limited."""
        given, count = self._settings, self._settings.workers
        share = {
            "decode_threads": given.decode_threads or max(1, (os.cpu_count() or 1) // count),
            "max_slots": math.ceil(given.max_slots / count),
            "max_buffer_bytes": max(given.max_body_bytes, given.max_buffer_bytes // count),
            "image_cache_bytes": given.image_cache_bytes // count,
            "warm_vocabularies": given.warm_vocabularies and number == 0,  # the others find them on disk
        }
        return Welcome(
            given.model_copy(update=share),
            tuple(self._owner.models),
            self._listener.getsockname(),
            self._listener.family,
            self._owner.slots,
            self._owner.slot_bytes,
        )


@contextmanager
def reserved(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that keeps the address for this process's children. Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        refuse_taken(listener, address)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        yield listener


def refuse_taken(listener: socket.socket, address: Any) -> None:
    """Raises OSError where another service has the port, which would share it without a word."""
    if address[1]:
        with socket.socket(listener.family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)


def end(fronts: list[Front], timeout_s: float) -> int:
    """SIGTERM to all, and wait; 0 when all that had not died before end well."""
    alive = [front for front in fronts if front.process.poll() is None]
    for front in alive:
        front.process.terminate()
    until = time.monotonic() + timeout_s
    for front in alive:
        try:
            front.process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            front.process.kill()
            front.process.wait()
    return int(any(front.process.returncode not in (0, -signal.SIGTERM) for front in alive))
