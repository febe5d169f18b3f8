"""Ten times the load that the service carries: answers a second, and how long a refusal takes.

    python -m bench.resilience.overload --seconds 20

Pictures are classified by the embedded model, without a cache of pictures. First a closed loop finds what the
service carries; then an open loop (open_loop.c, built by `cc`) offers that, and ten times that, to the same
process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.resilience.service import CAT, serving

TIMES = 10
LABELS = ("cat", "dog", "car", "house", "tree", "laptop", "cup", "person", "bird", "boat")


PATH = "/v1/classify?" + "&".join(f"labels={label}" for label in LABELS)


def request(picture: bytes) -> bytes:
    """One picture with ten labels, as bytes on the wire."""
    head = (
        f"POST {PATH} HTTP/1.1",
        "Host: localhost",
        "Content-Type: image/jpeg",
        f"Content-Length: {len(picture)}",
    )
    return "\r\n".join((*head, "", "")).encode() + picture


def offer(
    folder: Path, port: int, rate: float, seconds: float, pictures: Sequence[bytes] = (CAT,)
) -> dict[str, Any]:
    """What came back of `rate` requests a second; 0: as many as 16 connections get answered; -n: as n get."""
    program = folder / "open_loop"
    if not program.exists():
        source = Path(__file__).with_name("open_loop.c")
        subprocess.run(["cc", "-O2", "-o", str(program), str(source)], check=True)
        for number, picture in enumerate(pictures):
            (folder / f"{number:04}.request").write_bytes(request(picture))
    files = sorted(str(file) for file in folder.glob("*.request"))
    command = [str(program), str(port), str(rate), str(seconds), *files]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def answered(found: dict[str, Any]) -> float:
    """Right answers a second."""
    count: int = found["statuses"].get("200", {}).get("count", 0)
    return count / float(found["seconds"])


def measure(seconds: float = 20.0) -> dict[str, float]:
    """Answers a second at one and ten times the load, the share that is kept, and refusals' times."""
    with tempfile.TemporaryDirectory() as name, serving(image_cache_bytes=0, log_level="warning") as service:
        folder = Path(name)
        offer(folder, service.port, 0, 5)  # so that all is warm
        carried = answered(offer(folder, service.port, 0, seconds / 2))
        once = offer(folder, service.port, carried, seconds)
        many = offer(folder, service.port, carried * TIMES, seconds)
    refused = many["statuses"].get("503", {"count": 0, "p50_ms": 0.0, "p99_ms": 0.0})
    return {
        "answers_a_second_at_once": round(answered(once), 1),
        "offered_a_second": round(carried * TIMES, 1),
        "answers_a_second_at_ten_times": round(answered(many), 1),
        "kept": round(answered(many) / answered(once), 3),
        "refused": refused["count"],
        "refusal_p50_ms": refused["p50_ms"],
        "refusal_p99_ms": refused["p99_ms"],
        "lost": many["lost"] + many["unsent"],
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    print(json.dumps(measure(parser.parse_args().seconds)))


if __name__ == "__main__":
    main()
