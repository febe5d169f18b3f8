"""Threads that give way: work by the batch yields the processor to the thread that answers everybody."""

from __future__ import annotations

import os
import sys
import threading
from typing import Final

NICENESS: Final = 5


def yield_to_others() -> None:
    """For the calling thread and those that it starts: nicer than the process's main thread.

    Linux only: elsewhere niceness is a process's. Not by so much more than its own: a pool's thread
    may be started by one that already gives way.
    """
    if sys.platform == "linux":
        usual = os.getpriority(os.PRIO_PROCESS, os.getpid())
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), usual + NICENESS)
