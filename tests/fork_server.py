"""`candid` without the second in which it is imported: what has imported its modules forks for each command.

The command is a process of its own, as the installed program is: arguments, folder, environment, standard
streams, signals and exit status are the caller's. Only its imports are done. `candid -m` runs a module.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CANDID = Path(sys.executable).with_name("candid")  # the installed program
FORWARDED = (signal.SIGINT, signal.SIGTERM)
# What no command imports that has a kept export, torch above all; and OpenVINO, whose import starts threads:
# a fork would lack them.
NOT_PRELOADED = (
    *(f"models.encoders.{name}" for name in ("build", "class_token", "cuda_runner", "openvino", "places")),
    *("models.encoders.torch_runner", "models.encoders.towers", "models.training", "app.ray", "app.workers"),
)


_until_closed = ExitStack()
close = _until_closed.close  # ends the server and whatever it has forked


@cache
def program() -> Path:
    """A program `candid`, there until `close`; where this is not Linux, the installed one."""
    if sys.platform != "linux":
        return CANDID
    folder = _until_closed.enter_context(tempfile.TemporaryDirectory(prefix="candid-fork-"))
    return _until_closed.enter_context(_serving(Path(folder)))


def module(name: str) -> list[str]:
    """The command that runs a module as `python -m` does."""
    return [str(program()) if sys.platform == "linux" else sys.executable, "-m", name]


@contextmanager
def _serving(folder: Path) -> Iterator[Path]:
    address = folder / "fork-server"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()  # from now on a command can be asked for: it waits until the imports are done
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", "serve", str(listener.fileno())],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
    made = folder / "candid"
    client = shlex.join([sys.executable, "-I", "-S", str(Path(__file__).resolve()), "ask", str(address)])
    made.write_text(f'#!/bin/sh\nexec {client} "$@"\n')
    made.chmod(0o755)
    try:
        yield made
    finally:
        assert server.stdin is not None
        server.stdin.close()
        server.wait()


def ask(address: str, arguments: list[str]) -> int:
    """Have the command run and pass signals on to it; its exit status as subprocess gives it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [b" "], [0, 1, 2])
        asked = {"arguments": arguments, "folder": str(Path.cwd()), "environment": dict(os.environ)}
        connection.sendall(json.dumps(asked).encode())
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile() as answers:
            pid = int(answers.readline())
            for number in FORWARDED:
                signal.signal(number, lambda number, _: os.kill(pid, number))
            return int(answers.readline())


def serve(listener: socket.socket) -> None:
    """Import what commands import, then fork for each that is asked for, until the tests close the input."""
    preload()
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            look_after(connection)
            return
        connection.close()
        with suppress(ChildProcessError):  # none is left
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    with suppress(ChildProcessError):  # so that what they took of the processors is counted
        while os.wait():
            pass


def preload() -> None:
    import importlib
    import pkgutil
    import warnings

    import app
    import models

    for wing in (app, models):
        for module in pkgutil.walk_packages(wing.__path__, f"{wing.__name__}."):
            if not module.name.startswith(NOT_PRELOADED):
                importlib.import_module(module.name)
    gc.freeze()  # a fork that looks for garbage does not walk through all of this, and so does not copy it
    # Said by Python 3.12 and later of numpy's thread, which numpy ends before a fork.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)


def look_after(connection: socket.socket) -> None:
    """Run the command; tell the caller its process, then its exit status. It is killed when its caller is."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile() as received:
        asked = json.load(received)
    process = multiprocessing.get_context("fork").Process(target=become, args=(asked, streams))
    process.start()
    for stream in streams:
        os.close(stream)
    connection.sendall(f"{process.pid}\n".encode())
    poll = select.poll()
    poll.register(process.sentinel, select.POLLIN)
    poll.register(connection, 0)  # reports that the other end is gone
    if not any(which == process.sentinel for which, _ in poll.poll()):
        process.kill()
    process.join()
    with suppress(BrokenPipeError):
        connection.sendall(f"{process.exitcode}\n".encode())


def become(asked: dict[str, Any], streams: list[int]) -> None:
    """Run the program, or a module, with the caller's streams, folder, environment and arguments."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False, buffering=1 if os.isatty(1) else -1)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, buffering=1, errors="backslashreplace")  # noqa: SIM115
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments = asked["arguments"]
    if arguments[:1] == ["-m"]:
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    sys.argv = [str(CANDID), *arguments]
    sys.path[0] = str(CANDID.parent)  # in place of the checkout
    runpy.run_path(str(CANDID), run_name="__main__")


def main(role: str, place: str, *arguments: str) -> None:
    if role == "serve":
        serve(socket.socket(fileno=int(place)))
        os._exit(0)
    status = ask(place, list(arguments))
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
