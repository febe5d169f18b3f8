"""A queue of pictures before N encoders, simulated; held against a real service, then asked about 1,000.

    python -m bench.queueing --seconds 20

Requests come at random (Poisson), or evenly, as open_loop.c sends them. An encoder that is free takes what
waits for it, up to its best batch, and never waits for a batch to fill, as `models/batching/batcher.py` does.
A batch's times are measured on the bare encoder, the rest of a request on a closed loop at capacity; both are
all that the simulation knows of the service. What it says of open loops at parts of that capacity is compared
with the service itself (open_loop.c). The machine's speed changes: before each load one client alone says
what it is now, and all times are scaled by it. Figures go to bench/results/queueing.json.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import statistics
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import models
from app.model_loading import load_options
from app.settings import Settings
from bench import bare, machine, photographs, quoted
from bench.resilience.overload import answered, offer
from bench.resilience.service import serving
from models.pretrained.catalogue import EMBEDDED

RESULTS = Path(__file__).parent / "results" / "queueing.json"
PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
SHARES: Final = (0.3, 0.5, 0.7, 0.85)  # of capacity
ROUNDS: Final = 3  # of each
BATCHES: Final = (1, 2, 3)
CONNECTIONS: Final = 16  # of the closed loop
MANY: Final = 1000  # encoders
MANY_SHARES: Final = (0.5, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Encoders that are alike, and how a request finds one."""

    encoders: int
    batch_s: Callable[[int], float]  # of so many pictures
    max_batch: int
    front_s: float  # of a request before and after the encoder
    choices: int = 1  # queues that are looked at; the shortest gets the request


def simulate(fleet: Fleet, rate: float, requests: int, *, even: bool = False, seed: int = 0) -> list[float]:
    """Seconds from arrival to answer of each request, at `rate` a second; the first tenth is left out."""
    chance = random.Random(seed)
    waiting: list[deque[float]] = [deque() for _ in range(fleet.encoders)]
    busy = [0] * fleet.encoders  # pictures in the batch under way
    ends: list[tuple[float, int, list[float]]] = []  # a batch's end, its encoder, its requests' arrivals
    taken: list[float] = []
    now, left = 0.0, requests

    def gap() -> float:
        return 1 / rate if even else chance.expovariate(rate)

    def begin(encoder: int, at: float) -> None:
        queue = waiting[encoder]
        batch = [queue.popleft() for _ in range(min(fleet.max_batch, len(queue)))]
        busy[encoder] = len(batch)
        if batch:
            heapq.heappush(ends, (at + fleet.batch_s(len(batch)), encoder, batch))

    arrival = gap()
    while left or ends:
        if left and (not ends or arrival <= ends[0][0]):
            now, left = arrival, left - 1
            looked = [chance.randrange(fleet.encoders) for _ in range(fleet.choices)]
            encoder = min(looked, key=lambda each: len(waiting[each]) + busy[each])
            waiting[encoder].append(now)
            if not busy[encoder]:
                begin(encoder, now)
            arrival = now + gap()
        else:
            now, encoder, batch = heapq.heappop(ends)
            taken += [now - came + fleet.front_s for came in batch]
            begin(encoder, now)
    return taken[len(taken) // 10 :]


def percentiles(taken: Sequence[float]) -> dict[str, float]:
    """Milliseconds."""
    cuts = statistics.quantiles(taken, n=100)
    return {"p50_ms": round(cuts[49] * 1e3, 2), "p99_ms": round(cuts[98] * 1e3, 2)}


def measured(seconds: float) -> dict[str, Any]:
    """The real service with the embedded model beside the simulation of it."""
    files = photographs.small(256, (240, 160))
    classifier = models.load(EMBEDDED, load_options(Settings()))
    pixels = [bare.pixels(classifier, data) for data in files[: max(BATCHES)]]
    encode = bare.encoder(classifier)
    encode(pixels)
    batch_s = {size: bare.times(encode, pixels[:size], seconds / 2) for size in BATCHES}
    classifier.close()
    usual_s = {size: statistics.median(taken) for size, taken in batch_s.items()}
    with tempfile.TemporaryDirectory() as name, serving(image_cache_bytes=0, log_level="warning") as service:
        folder = Path(name)
        offer(folder, service.port, 0, 5, files)  # so that all is warm
        capacity = answered(offer(folder, service.port, -CONNECTIONS, seconds, files))

        def one_client(seconds: float) -> float:
            """Seconds of a request of one client alone."""
            found: float = offer(folder, service.port, -1, seconds, files)["statuses"]["200"]["p50_ms"]
            return found / 1e3

        alone = one_client(seconds / 2)
        # At capacity batches are full: what a request costs beyond its share of one is the rest's.
        beside_s = max(0.0, 1 / capacity - usual_s[max(BATCHES)] / max(BATCHES))
        front_s = max(0.0, alone - usual_s[1] - beside_s)

        def fleet(speed: float) -> Fleet:
            """The encoder at a speed, by that of the time when it was measured."""
            chance = random.Random(0)
            return Fleet(
                1,
                lambda size: (chance.choice(batch_s[size]) + size * beside_s) / speed,
                max(BATCHES),
                front_s=front_s / speed,
            )

        rows = []
        for share in SHARES:
            rounds = []
            for _ in range(ROUNDS):
                speed = alone / one_client(seconds / 4)
                rate = share * capacity * speed
                real = offer(folder, service.port, rate, seconds, files)["statuses"]["200"]
                simulated = percentiles(simulate(fleet(speed), rate, 20_000, even=True))
                rounds.append(
                    {
                        "a_second": rate,
                        "real_p50_ms": real["p50_ms"],
                        "real_p99_ms": real["p99_ms"],
                        "simulated_p50_ms": simulated["p50_ms"],
                        "simulated_p99_ms": simulated["p99_ms"],
                        "p50_ratio": simulated["p50_ms"] / real["p50_ms"],
                    }
                )
            middle = {key: round(statistics.median(one[key] for one in rounds), 2) for key in rounds[0]}
            rows.append({"share": share, **middle})
            print(json.dumps(rows[-1]), flush=True)
    return {
        "capacity_a_second": round(capacity, 1),
        "alone_ms": round(alone * 1e3, 2),
        "batch_ms": {str(size): round(took * 1e3, 2) for size, took in usual_s.items()},
        "beside_ms": round(beside_s * 1e3, 2),
        "rows": rows,
    }


def fleets(batch_ms: dict[str, float], beside_ms: float) -> list[dict[str, Any]]:
    """1,000 such encoders: one queue picked blindly, and the shorter of two."""
    largest = max(map(int, batch_ms))
    most = largest / ((batch_ms[str(largest)] + largest * beside_ms) / 1e3)  # pictures a second of one
    rows = []
    for choices in (1, 2):
        fleet = Fleet(
            MANY,
            lambda size: (batch_ms[str(size)] + size * beside_ms) / 1e3,
            largest,
            front_s=0.0,
            choices=choices,
        )
        for share in MANY_SHARES:
            rate = share * most * MANY
            told = percentiles(simulate(fleet, rate, 300_000))
            rows.append({"choices": choices, "share": share, "a_second": round(rate), **told})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="of each load")
    asked = parser.parse_args()
    found = measured(asked.seconds)
    result = {
        "machine": machine.describe(),
        "versions": machine.versions(),
        "command": f"python -m bench.queueing --seconds {asked.seconds:g}",
        **found,
        "many": fleets(found["batch_ms"], found["beside_ms"]),
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    PAGE.write_text(quoted.filled(PAGE.read_text("utf-8"), "bench: queueing", table(result), PAGE), "utf-8")


def table(result: Mapping[str, Any]) -> str:
    """The simulation beside the service, then what it says of many encoders."""
    checked = [
        [
            f"{row['share']:g}",
            *(f"{row[key]:.1f}" for key in ("a_second", "real_p50_ms", "simulated_p50_ms")),
            f"{row['p50_ratio']:.2f}",
        ]
        for row in result["rows"]
    ]
    head = ["load, of capacity", "requests/s", "median, ms", "simulated", "ratio, median of the rounds"]
    many = [
        [
            f"{share:g}",
            *(
                f"{row[key]:.0f}"
                for row in result["many"]
                if row["share"] == share
                for key in ("p50_ms", "p99_ms")
            ),
        ]
        for share in MANY_SHARES
    ]
    ways = ["any: median, ms", "99 %", "shorter of two: median", "99 %"]
    return (
        f"{quoted.table(head, checked)}\n{MANY:,} such encoders, requests at random, to any queue or to the "
        f"shorter of two:\n\n{quoted.table(['load, of capacity', *ways], many)}\n"
        f"Measured on {quoted.cores(result)} (`{result['command']}`).\n"
    )


if __name__ == "__main__":
    main()
