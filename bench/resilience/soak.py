"""Half an hour at capacity: the slope of the memory, and answers that were no 200. By hand only.

python -m bench.resilience.soak --minutes 30
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time

from bench.resilience.service import CAT, serving

CALLERS = 4
IMAGE_CACHE_BYTES = 4 << 20  # full within the first minutes: at its default it would grow all the time
WARM_SHARE = 0.2  # of the time: caches fill, the allocator finds its size


def measure(minutes: float) -> dict[str, float]:
    """Pictures that differ in their last bytes, so that each is decoded and encoded."""
    statuses: list[int] = []
    memory: list[tuple[float, float]] = []  # minutes, MiB

    with serving(log_level="warning", image_cache_bytes=IMAGE_CACHE_BYTES) as service:
        began = time.monotonic()
        over = began + minutes * 60

        def ask(caller: int) -> None:
            turn = 0
            while time.monotonic() < over:
                turn += 1
                picture = CAT + f"{caller} {turn}".encode()
                path = f"/v1/classify?labels=cat&labels=thing {turn % 5000}".replace(" ", "%20")
                statuses.append(service.ask("POST", path, picture, "image/jpeg"))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(CALLERS)]
        for thread in threads:
            thread.start()
        while time.monotonic() < over:
            time.sleep(1)
            memory.append(((time.monotonic() - began) / 60, service.memory()))
        for thread in threads:
            thread.join()
    warm = [(at, size) for at, size in memory if at > minutes * WARM_SHARE]
    slope = statistics.linear_regression(*zip(*warm, strict=True)).slope
    return {
        "minutes": minutes,
        "answered": statuses.count(200),
        "others": len(statuses) - statuses.count(200),
        "mib_at_the_end": round(memory[-1][1]),
        "slope_mib_a_minute": round(slope, 2),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    print(json.dumps(measure(parser.parse_args().minutes)))
