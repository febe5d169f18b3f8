"""Candid and its peers on the same machine, the same shape of weights, in one run.

    python -m bench.peers.run --seconds 10 --rounds 3

Every server is up during the whole run; they are measured in turn, round after round, so that what the
machine does otherwise falls on all of them. Candid's cache of picture embeddings is switched off: a picture
that comes again would cost it nothing. Its cache of text embeddings is part of what is compared.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import weights
from bench.load import Post, Timing, burst, form, poster

RESULTS = Path(__file__).parents[1] / "results" / "peers.json"
WORDS = Path(__file__).parents[2] / "models" / "nouns.txt"
PHOTOGRAPHS = 500


@dataclass(slots=True)
class Peer:
    """A server under test and how it is asked."""

    name: str
    command: list[str]
    port: int
    environment: dict[str, str]
    path: str
    picture_field: str
    ready: str
    process: Any = None
    results: dict[str, list[Any]] = field(default_factory=dict)

    def body(self, pictures: list[bytes], labels: list[str]) -> tuple[bytes, dict[str, str]]:
        return form(
            [(self.picture_field, data) for data in pictures], [("labels", label) for label in labels]
        )

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self.ready}", timeout=5).close()
                return
            except OSError:
                time.sleep(0.5)
        raise RuntimeError(f"{self.name} did not start")

    def peak_memory_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
        return int(kib) / 1024


def peers() -> list[Peer]:
    """Candid first, then those it is compared with."""
    uvicorn = [sys.executable, "-m", "uvicorn", "--log-level", "error", "--port"]
    candid = {
        "CANDID_MODEL": str(weights.for_open_clip()),
        "CANDID_IMAGE_CACHE_BYTES": "0",
        "CANDID_MAX_LABELS": "2000",
        "CANDID_PORT": "8301",
        "CANDID_REQUEST_TIMEOUT_S": "300",
        "CANDID_LOG_LEVEL": "warning",
    }
    serve = [str(Path(sys.executable).with_name("candid")), "serve"]
    return [
        Peer("Candid", serve, 8301, candid, "/v1/classify", "images", "/readyz"),
        Peer(
            "transformers pipeline + FastAPI",
            [*uvicorn, "8302", "bench.peers.pipeline:app"],
            8302,
            {"BENCH_MODEL": str(weights.for_transformers())},
            "/classify",
            "image",
            "/openapi.json",
        ),
        Peer(
            "open_clip + FastAPI (naive)",
            [*uvicorn, "8303", "bench.peers.naive:app"],
            8303,
            {"BENCH_MODEL": str(weights.for_open_clip())},
            "/classify",
            "image",
            "/openapi.json",
        ),
    ]


def photographs() -> tuple[list[bytes], bytes]:
    """64 different small photographs as people send them, and one of 12 megapixels."""
    import skimage.data
    from PIL import Image, ImageEnhance

    small = []
    sources = [skimage.data.cat(), skimage.data.coffee(), skimage.data.astronaut(), skimage.data.rocket()]
    for i in range(64):
        picture = ImageEnhance.Brightness(Image.fromarray(sources[i % 4])).enhance(0.7 + 0.01 * i)
        buffer = io.BytesIO()
        picture.resize((451, 300)).save(buffer, "JPEG", quality=90)
        small.append(buffer.getvalue())
    buffer = io.BytesIO()
    Image.fromarray(sources[0]).resize((4000, 3000), Image.Resampling.LANCZOS).save(
        buffer, "JPEG", quality=90
    )
    return small, buffer.getvalue()


def measured(timing: Timing) -> dict[str, float]:
    return {
        "per_second": timing.rate,
        "p50_ms": timing.median * 1e3,
        "p99_ms": timing.percentile(0.99) * 1e3,
        "errors": timing.errors,
    }


def workloads(seconds: float) -> dict[str, Callable[[Peer], dict[str, float]]]:
    """What each peer is asked to do, once a round."""
    small, large = photographs()
    words = WORDS.read_text(encoding="utf-8").split("\n")
    ten = [word for word in words if word and not word.startswith("#")][:10]

    def requests(peer: Peer, pictures: list[bytes], labels: list[str]) -> Post:
        return poster(peer.path, [peer.body([picture], labels) for picture in pictures])

    def one_client(peer: Peer) -> dict[str, float]:
        return measured(burst(peer.port, requests(peer, small, ten), clients=1, seconds=seconds))

    def many_clients(peer: Peer) -> dict[str, float]:
        return measured(burst(peer.port, requests(peer, small, ten), clients=32, seconds=seconds * 1.5))

    def large_pictures(peer: Peer) -> dict[str, float]:
        return measured(burst(peer.port, requests(peer, [large], ten), clients=1, seconds=seconds))

    def many_pictures(peer: Peer) -> dict[str, float]:
        return {"seconds": in_one_go(peer, small, ten)}

    return {
        "one client": one_client,
        "32 clients": many_clients,
        "12 megapixels": large_pictures,
        "500 photographs": many_pictures,
    }


def in_one_go(peer: Peer, small: list[bytes], labels: list[str]) -> float:
    """Seconds for 500 photographs, the way each takes them best: many a request, or many requests at once."""
    each = 50 if peer.name == "Candid" else 1
    bodies = [peer.body([small[(i + j) % 64] for j in range(each)], labels) for i in range(0, 64, each)]
    timing = Timing()
    started = time.perf_counter()
    while len(timing.latencies) * each < PHOTOGRAPHS:
        left = PHOTOGRAPHS - len(timing.latencies) * each
        timing.latencies += burst_of(peer, bodies, min(8, max(1, left // each)))
    return time.perf_counter() - started


def burst_of(peer: Peer, bodies: list[tuple[bytes, dict[str, str]]], clients: int) -> list[float]:
    """One request from each of `clients` clients."""
    return (
        burst(peer.port, poster(peer.path, bodies), clients=clients, seconds=1e-9).latencies
        or [0.0] * clients
    )


def thousand_labels(peer: Peer, salt: int) -> dict[str, float]:
    """Milliseconds of the first and the second request with the same 1,000 new labels."""
    small, _ = photographs()
    labels = [f"{word} {salt}" for word in WORDS.read_text(encoding="utf-8").split("\n") if word][:1000]
    post = poster(peer.path, [peer.body([small[0]], labels)])
    took = []
    for _ in range(2):
        connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=600)
        started = time.perf_counter()
        post(connection)
        took.append((time.perf_counter() - started) * 1e3)
        connection.close()
    return {"first_ms": took[0], "second_ms": took[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", help="one of the workloads by name; repeat it")
    asked = parser.parse_args()
    running = peers()
    try:
        for peer in running:
            peer.start()
            print(f"{peer.name} is up", flush=True)
        for round_ in range(asked.rounds):
            for name, work in workloads(asked.seconds).items():
                for peer in running if not asked.only or name in asked.only else ():
                    peer.results.setdefault(name, []).append(work(peer))
                    print(round_, name, peer.name, peer.results[name][-1], flush=True)
        for peer in running if not asked.only or "1,000 labels" in asked.only else ():
            peer.results["1,000 labels"] = [thousand_labels(peer, salt=1)]
            print("1,000 labels", peer.name, peer.results["1,000 labels"], flush=True)
        write(running, asked)
    finally:
        for peer in running:
            if peer.process is not None:
                peer.process.terminate()


def write(running: list[Peer], asked: argparse.Namespace) -> None:
    """Medians over the rounds, into bench/results/peers.json."""
    import fastapi
    import open_clip
    import torch
    import transformers

    def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
        return {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}

    result = {
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "open_clip": open_clip.__version__,
            "transformers": transformers.__version__,
            "fastapi": fastapi.__version__,
        },
        "command": " ".join(["python -m bench.peers.run", *sys.argv[1:]]),
        "peers": {
            peer.name: {
                **{name: medians(rounds) for name, rounds in peer.results.items()},
                "peak_memory_mib": peer.peak_memory_mib(),
            }
            for peer in running
        },
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
