"""To take more connections than is usual, and to stop taking them without losing one.

When a listening socket is closed, the kernel resets every connection that it completed but that nobody
accepted yet, though its caller may have sent a request already. So new connections are turned away first, by
a filter that drops their first packet, while those that have got further are still accepted. The caller whose
packet was dropped tries again after a second and finds the port closed. Linux only; elsewhere a gap of
microseconds remains.
"""

from __future__ import annotations

import ctypes
import logging
import os
import socket
import struct
import sys
from typing import Final, Protocol

logger = logging.getLogger(__name__)

MAX_OPEN_FILES: Final = 65_536
"""More connections than one process serves; some systems allow a thousand million."""
SO_ATTACH_FILTER: Final = 26  # asm-generic/socket.h
# Classic BPF (linux/filter.h); a TCP socket's filter sees the packet from its TCP header on.
DROP_NEW_CONNECTIONS: Final = (
    (0x30, 0, 0, 13),  # load byte 13: the flags
    (0x54, 0, 0, 0x12),  # keep SYN (0x02) and ACK (0x10)
    (0x15, 0, 1, 0x02),  # SYN alone: the first packet of a connection …
    (0x06, 0, 0, 0),  # … is dropped,
    (0x06, 0, 0, 0xFFFFFFFF),  # every other is taken whole
)


class Listening(Protocol):
    """What uvloop and asyncio both give for a listening socket."""

    def fileno(self) -> int: ...


def turn_away_new_connections(listener: Listening) -> None:
    """From now on no new connection begins at `listener`; those under way still arrive."""
    if sys.platform != "linux":
        return
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in DROP_NEW_CONNECTIONS)
    buffer = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("HP", len(DROP_NEW_CONNECTIONS), ctypes.addressof(buffer))
    try:
        # The event loops hide the socket's options; another descriptor of the same socket has them.
        with socket.socket(fileno=os.dup(listener.fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)
    except OSError as error:  # a sandbox that knows no filters, or a socket that is not TCP
        logger.debug("new connections cannot be turned away softly: %s", error)


def allow_many_connections() -> None:
    """As many open files as the system lets this process have.

    The usual 1,024 are used up by as many callers that connect and send nothing, and everybody else, health
    probes too, is turned away until their receipt deadline. The low default protects programs that use
    `select`; neither event loop does.
    """
    if sys.platform == "win32":  # no such limit
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:  # macOS has a lower bound of its own
            logger.debug("%d open files are allowed, no more: %s", soft, error)
