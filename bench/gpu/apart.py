"""A part of the measurement in a process of its own: what it breaks, or hangs in, ends with it."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


class Notes:
    """A part's figures, in a file as soon as they are known: what it found before it failed counts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._found: dict[str, Any] = {}

    def __call__(self, **figures: Any) -> None:
        self._found |= figures
        made = self._file.with_suffix(".new")
        made.write_text(json.dumps(self._found), "utf-8")
        made.replace(self._file)


def run(part: Callable[[Notes], None], file: Path, seconds: float, start: str = "fork") -> dict[str, Any]:
    """What `part` noted, how long it took and, if it failed, why. Its own children end with it.

    Forked, it need not import torch and open_clip again, but then nobody may have touched the GPU before;
    else `start` is "spawn".
    """
    began = time.monotonic()
    process: Any = multiprocessing.get_context(start).Process(target=_begin, args=(part, file))
    process.start()
    process.join(seconds)
    late = process.is_alive()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # had it not begun
    process.join()
    found: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    if late:
        found["error"] = f"not done within {seconds:.0f} s"
    elif process.exitcode and "error" not in found:
        found["error"] = f"its process ended with {process.exitcode}"
    return {**found, "seconds": round(time.monotonic() - began, 1)}


def _begin(part: Callable[[Notes], None], file: Path) -> None:
    os.setsid()  # so that all of its children can be ended at once
    note = Notes(file)
    try:
        part(note)
    except Exception as error:
        traceback.print_exc()
        note(error=f"{type(error).__name__}: {error}"[:500])
        raise SystemExit(1) from None
