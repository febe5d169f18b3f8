"""Threads that give way: work by the batch yields the processor to the thread that answers everybody."""

from __future__ import annotations

import os
import sys
import threading
from typing import Final

NICENESS: Final = 5


def yield_to_others() -> None:
    """For the calling thread and those that it starts. Linux only: elsewhere niceness is a process's."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)
