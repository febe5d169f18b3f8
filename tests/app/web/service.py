"""A real service on a real port, within this process: it can be stopped and started again in no time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn

from app.main import create_app
from app.settings import Settings


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def serving(classifiers: Mapping[str, Any], port: int, **settings: Any) -> Iterator[str]:
    """Serve until the block ends, with a database that ends with it; gives the page's address."""
    with TemporaryDirectory() as folder:
        settings = {"database_url": f"sqlite:///{folder}/sets.db", **settings}
        yield from _serve(classifiers, port, settings)


def _serve(classifiers: Mapping[str, Any], port: int, settings: dict[str, Any]) -> Iterator[str]:
    app = create_app(Settings(port=port, **settings), dict(classifiers))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the service did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
    assert not thread.is_alive(), "the service did not stop"
