"""One front: the whole HTTP service but for the towers. `python -m app.workers.front PIPE MEMORY`.

Both are numbers of open files that it inherits; all else comes through the pipe. When the owner of the models
is gone, it ends as after SIGTERM.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
from functools import partial
from multiprocessing.connection import Connection

from fastapi import FastAPI
from prometheus_client.exposition import generate_latest

from app.http.logging import configure_logging
from app.http.sockets import allow_many_connections
from app.model_loading import by_name, classifier_around
from app.serve import answer, end_early
from app.workers.calls import Calls, SharedRunner
from app.workers.messages import Ready, Slots, Welcome
from app.workers.metrics import summed
from models.errors import CandidError

logger = logging.getLogger(__name__)


def main() -> int:
    """Answer until a signal ends it; the process's exit status."""
    gc.disable()  # as in app.serve
    signal.signal(signal.SIGTERM, end_early)
    connection, memory = Connection(int(sys.argv[1])), int(sys.argv[2])
    welcome: Welcome = connection.recv()
    settings = welcome.settings
    configure_logging(settings.log_level)
    allow_many_connections()
    calls = Calls(connection, Slots(memory, welcome.slots, welcome.slot_bytes), welcome.slots)
    gone = partial(os.kill, os.getpid(), signal.SIGTERM)
    threading.Thread(target=calls.listen, args=(gone,), name="candid-pipe", daemon=True).start()

    def adapt(app: FastAPI) -> None:
        calls.own_metrics = partial(generate_latest, app.state.metrics.registry)

        async def scrape() -> bytes:
            others = await asyncio.to_thread(calls.others_metrics)
            return summed([calls.own_metrics(), *others])

        app.state.scrape = scrape

    try:
        classifiers = [
            classifier_around(
                settings,
                model.described,
                SharedRunner(calls, number, model.described.info.encoder, model.best_batch),
                keeps_texts=True,
            )
            for number, model in enumerate(welcome.models)
        ]
        named = by_name(settings, classifiers)
    except CandidError as error:
        logger.critical(error.message)
        return 1
    with socket.socket(welcome.family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(welcome.address)
        return answer(
            settings, named, adapt=adapt, listening=partial(calls.send, Ready()), sockets=[listener]
        )


if __name__ == "__main__":
    sys.exit(main())
