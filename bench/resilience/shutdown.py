"""SIGTERM under load, again and again: requests that were accepted and got no answer.

python -m bench.resilience.shutdown --times 20
"""

from __future__ import annotations

import argparse
import json
import threading
import time

from bench.resilience.service import Service, serving

CALLERS = 8


def measure(times: int = 5) -> dict[str, float]:
    """Answers, and requests that were sent on an accepted connection and lost."""
    answered, lost, slowest = 0, 0, 0.0
    body = b'{"input": "a cat"}'
    head = "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    asked = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def keep_asking(service: Service) -> None:
        nonlocal answered, lost
        while True:
            try:
                connection = service.connect()
            except OSError:
                return  # no longer accepted
            with connection:
                said = b"HTTP/1.1 200 "
                while said.startswith(b"HTTP/1.1 200 ") and b"connection: close" not in said:
                    try:
                        connection.sendall(asked)
                        said = connection.recv(1 << 20)
                    except OSError:
                        said = b""
                    answered += said != b""
                    lost += said == b""

    for _ in range(times):
        with serving(log_level="warning") as service:
            callers = [threading.Thread(target=keep_asking, args=(service,)) for _ in range(CALLERS)]
            for caller in callers:
                caller.start()
            time.sleep(1)
            slowest = max(slowest, service.stop())
            for caller in callers:
                caller.join()
    return {"sigterms": times, "answered": answered, "lost": lost, "slowest_end_s": round(slowest, 1)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    print(json.dumps(measure(parser.parse_args().times)))
