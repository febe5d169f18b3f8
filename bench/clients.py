"""What a request costs over the encoder with the embedded model: 1, 8 and 32 clients, thumbnails.

    python -m bench.clients --seconds 5 --rounds 5

The embedded model is fast and the pictures are small, so HTTP, parsing, decoding and JSON show. The bare
encoder is the very same one in this process; the service is a `candid serve` that remembers no picture. They
are measured in turn, one while the other rests; the median of the rounds' ratios counts. The clients
(open_loop.c, which costs next to nothing) send a picture as the body and ten labels in the query.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import models
from app.model_loading import load_options
from app.settings import Settings
from bench import bare, machine, photographs
from bench.batching import in_turn
from bench.peers import services
from bench.peers.services import Service
from bench.resilience.overload import answered, offer
from models.classifier import Classifier
from models.pretrained.catalogue import EMBEDDED

RESULTS = Path(__file__).parent / "results" / "clients.json"
PORT = 8313
CLIENTS = (1, 8, 32)
BATCHES = (1, 3, 8, 16, 32)
THUMBNAIL = (240, 160)  # px


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="of each burst")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    files = photographs.small(128, THUMBNAIL)
    classifier = models.load(EMBEDDED, load_options(Settings()))
    with tempfile.TemporaryDirectory() as texts, tempfile.TemporaryDirectory() as folder:
        service = services.candid(Path(texts), PORT, model=EMBEDDED)
        round_of = partial(one_round, service, classifier, files, Path(folder))
        rounds = in_turn(service, asked.rounds, asked.seconds, round_of)
    classifier.close()
    result: dict[str, Any] = {
        "machine": machine.describe(),
        "versions": machine.versions(),
        "command": f"python -m bench.clients --seconds {asked.seconds:g} --rounds {asked.rounds}",
        **{key: round(statistics.median(one[key] for one in rounds), 3) for key in rounds[0]},
        "errors": sum(one["errors"] for one in rounds),
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def one_round(
    service: Service, classifier: Classifier, files: list[bytes], folder: Path, seconds: float
) -> dict[str, float]:
    """The bare encoder at each batch size, then the service with each number of clients."""
    batch = [bare.pixels(classifier, data) for data in files[: max(BATCHES)]]
    encode = bare.encoder(classifier)
    bare_rates = {size: size / bare.seconds(encode, batch[:size], seconds / len(BATCHES)) for size in BATCHES}
    best = max(bare_rates.values())
    found = {f"bare_{size}_per_s": rate for size, rate in bare_rates.items()} | {"errors": 0.0}
    for clients in CLIENTS:
        came = offer(folder, service.port, -clients, seconds, files)
        rate, times = answered(came), came["statuses"].get("200", {})
        found |= {
            f"{clients}_per_s": rate,
            f"{clients}_to_best": rate / best,
            f"{clients}_p50_ms": times.get("p50_ms", 0.0),
            f"{clients}_p99_ms": times.get("p99_ms", 0.0),
        }
        found["errors"] += came["lost"] + sum(
            one["count"] for status, one in came["statuses"].items() if status != "200"
        )
    return found


if __name__ == "__main__":
    main()
