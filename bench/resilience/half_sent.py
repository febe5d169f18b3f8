"""Half-sent uploads that fill the buffer, and 500 connections that never finish: how others fare.

python -m bench.resilience.half_sent
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, suppress

from bench.resilience.service import CAT, MIB, serving

UPLOADS = 12
SLOW = 500
RECEIPT_S = 5.0
SMALL = 100
QUERY = "/v1/classify?labels=cat&labels=dog"


def measure() -> dict[str, float]:
    """Small pictures answered beside them, and seconds until slow senders are gone."""
    head = f"POST {QUERY} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n".encode()
    with serving(log_level="warning") as service, ExitStack() as stack:
        for _ in range(UPLOADS):
            sender = stack.enter_context(service.connect())
            with suppress(ConnectionError):
                sender.sendall(head + b"Content-Length: %d\r\n\r\n" % (60 * MIB) + bytes(59 * MIB))
        answered = [service.ask("POST", QUERY, CAT, "image/jpeg") for _ in range(SMALL)].count(200)
    with serving(log_level="warning", receipt_timeout_s=RECEIPT_S) as service, ExitStack() as stack:
        for _ in range(SLOW):
            stack.enter_context(service.connect()).sendall(head + b"Content-Length: 10\r\n\r\nx")
        began = time.perf_counter()
        beside = [service.ask("POST", QUERY, CAT, "image/jpeg") for _ in range(SMALL)].count(200)
        while service.metric("process_open_fds") > SLOW:
            time.sleep(0.1)
        gone = time.perf_counter() - began
    return {
        "half_sent_mb": round(UPLOADS * 59 * MIB / 1e6),
        "small_answered_of_100": answered,
        "slow_senders": SLOW,
        "answered_beside_slow_of_100": beside,
        "slow_gone_after_the_deadline_s": round(max(0.0, gone - RECEIPT_S), 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure()))
