"""What requests cost over the bare encoder, in one run: 32 clients with a picture each, and one client alone.

    python -m bench.batching --seconds 8 --rounds 3

The bare encoder is the very same one in this process: tensors in, vectors out, at each batch size. The
service is a `candid serve` that remembers no picture. They are measured in turn, one while the other rests.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import models
from app.model_loading import load_options
from app.settings import Settings
from bench import bare, machine, photographs, weights
from bench.load import burst, metrics
from bench.peers import services
from bench.peers.services import Service
from bench.peers.work import LABELS, MANY_CLIENTS
from models.classifier import Classifier
from models.pretrained import files as checkpoint_files

RESULTS = Path(__file__).parent / "results" / "batching.json"
PORT = 8312
BATCHES = (1, 2, 4, 8, 16, 32)

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--seconds", type=float, default=8, help="of each burst")
    add("--rounds", type=int, default=3)
    add("--quiet", metavar="COMMAND", help="run with `begin` and `end` around each round")
    add("--json", type=Path, default=RESULTS)
    asked = parser.parse_args()
    files = photographs.small(128)
    # With the service's own options: the same towers on the same runner.
    classifier = models.load(str(weights.for_open_clip()), load_options(Settings()))
    with tempfile.TemporaryDirectory() as texts:
        service = services.candid(Path(texts), port=PORT)
        rounds = in_turn(
            service, asked.rounds, asked.seconds, partial(one_round, service, classifier, files), asked.quiet
        )
    classifier.close()
    result: dict[str, Any] = {
        "machine": machine.describe(),
        "versions": machine.versions(),
        "command": f"python -m bench.batching --seconds {asked.seconds:g} --rounds {asked.rounds}",
        "clients": MANY_CLIENTS,
        **{key: round(statistics.median(one[key] for one in rounds), 3) for key in rounds[0]},
        "errors": sum(one["errors"] for one in rounds),
    }
    towers = bare.towers(checkpoint_files.resolve(str(weights.for_open_clip())), "fp32")
    best = result[f"bare_{result['best_batch']:.0f}_per_s"]
    result["encoder_gflops"] = round(bare.flops_of(towers.image, towers.image_size[0]) * best / 1e9, 3)
    asked.json.parent.mkdir(exist_ok=True)
    asked.json.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def in_turn(
    service: Service,
    rounds: int,
    seconds: float,
    measure: Callable[[float], Figures],
    quiet: str | None = None,
) -> list[Figures]:
    """Rounds of so many seconds on a service that is started for them, after a short one."""
    found = []
    try:
        service.start()
        measure(0.5)  # what is compiled at first sight is compiled now
        for _ in range(rounds):
            with machine.quiet(quiet):
                found.append(measure(seconds))
            print(json.dumps(found[-1]), flush=True)
    finally:
        service.stop()
    return found


def one_round(service: Service, classifier: Classifier, files: list[bytes], seconds: float) -> Figures:
    """Matrix products alone, the bare encoder at each batch size, the service with many clients and one."""
    ceiling = bare.products()
    batch = [bare.pixels(classifier, data) for data in files[: max(BATCHES)]]
    encode = bare.encoder(classifier)
    taken = {size: bare.seconds(encode, batch[:size], seconds / len(BATCHES)) for size in BATCHES}
    best = max(BATCHES, key=lambda size: size / taken[size])
    decode = statistics.median(decoding(classifier, data) for data in files)
    turns = itertools.cycle([service.turn([data], LABELS) for data in files])
    before = counters(service)
    many = burst(service.port, turns, clients=MANY_CLIENTS, seconds=2 * seconds)
    encoded, batches = (now - then for now, then in zip(counters(service), before, strict=True))
    alone = burst(service.port, turns, clients=1, seconds=seconds)
    mean_batch = encoded / batches
    return {
        **{f"bare_{size}_per_s": size / taken[size] for size in BATCHES},
        "best_batch": best,
        "products_gflops": ceiling / 1e9,
        "many_per_s": many.rate,
        "many_to_bare": many.rate / (best / taken[best]),
        "many_p50_ms": many.median * 1e3,
        "many_p99_ms": many.percentile(0.99) * 1e3,
        "mean_batch": mean_batch,
        # Of the size that the service made of what waited, at the speed of the bare encoder.
        "p50_in_batch_times": many.median / between(taken, mean_batch),
        "p50_in_best_batch_times": many.median / taken[best],
        "decode_ms": decode * 1e3,
        "bare_1_ms": taken[1] * 1e3,
        "alone_p50_ms": alone.median * 1e3,
        "errors": many.errors + alone.errors,
    }


def decoding(classifier: Classifier, data: bytes) -> float:
    """Seconds for one photograph."""
    started = time.perf_counter()
    bare.pixels(classifier, data)
    return time.perf_counter() - started


def between(taken: dict[int, float], size: float) -> float:
    """Seconds of a batch of `size` pictures, on the line between the two sizes beside it."""
    for low, high in itertools.pairwise(BATCHES):
        if size <= high:
            return taken[low] + (taken[high] - taken[low]) * (size - low) / (high - low)
    return taken[BATCHES[-1]]


def counters(service: Service) -> tuple[float, float]:
    """Pictures encoded and batches made since the service started."""
    found = metrics(service.port)
    return found["candid_images_encoded_total"], found["candid_image_batches_total"]


if __name__ == "__main__":
    main()
