"""Callers who ask for 42 MB and never read: memory, how long it is held, and how long the shutdown takes.

python -m bench.resilience.unread_answers
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack

from bench.resilience.service import Service, serving, watched

CALLERS = 12


def question() -> bytes:
    """64 embeddings × 10,000 labels: 220 kB, and an answer of 42 MB."""
    with serving() as service:
        dim = service.read("/v1/models")["data"][0]["embed_dim"]
    vector = [1] + [0] * (dim - 1)
    body = json.dumps({"embeddings": [vector] * 64, "labels": [f"l{i}" for i in range(10_000)]}).encode()
    head = "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def ask_and_never_read(service: Service, stack: ExitStack, asked: bytes) -> float:
    """From CALLERS connections at once, until all answers are made; the most bytes that were held."""
    for _ in range(CALLERS):
        stack.enter_context(service.connect()).sendall(asked)
    held, begun = 0.0, False
    while True:
        taken = service.metric("candid_slots_taken")
        held, begun = max(held, service.metric("candid_buffer_bytes")), begun or taken > 0
        if begun and taken == 0:
            return held
        time.sleep(0.1)


def measure() -> dict[str, float]:
    """Memory, and seconds from when all answers were made."""
    asked = question()
    with serving(log_level="warning") as service, ExitStack() as stack, watched(service) as seen:
        held = ask_and_never_read(service, stack, asked)
        began = time.perf_counter()
        while service.metric("candid_buffer_bytes") > 0:
            time.sleep(0.1)
        given_back = time.perf_counter() - began
    with serving(log_level="warning") as service, ExitStack() as stack:
        ask_and_never_read(service, stack, asked)
        stop = service.stop()
    return {
        "callers": CALLERS,
        "held_mb": round(held / 1e6),
        "grown_mib": round(seen.grown_mib),
        "given_back_s": round(given_back, 1),
        "shutdown_s": round(stop, 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure()))
