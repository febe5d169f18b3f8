"""60 MB of trailer lines, as one and as many fields: memory, and the longest wait for /healthz.

python -m bench.resilience.trailers
"""

from __future__ import annotations

import json
from contextlib import suppress

from bench.resilience.service import MIB, serving, watched

HEAD = (
    b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
)
BYTES = 60 * MIB


def measure() -> dict[str, float]:
    """The most bytes that were read of one body's trailers, and what it cost."""
    read = 0
    with serving(log_level="warning") as service, watched(service) as seen:
        for start, more in ((b"", b"a:b\r\n" * 10_000), (b"a:", b"x" * 50_000)):
            sent = 0
            with service.connect() as connection, suppress(ConnectionError):
                connection.sendall(HEAD + start)
                while sent < BYTES:
                    connection.sendall(more)
                    sent += len(more)
            read = max(read, sent)
    return {
        "sent_mb": round(read / 1e6, 1),  # what the kernel holds of it is counted, too
        "grown_mib": round(seen.grown_mib),
        "healthz_slowest_ms": round(seen.slowest_ms),
    }


if __name__ == "__main__":
    print(json.dumps(measure()))
