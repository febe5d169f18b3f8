"""Everything about a GPU, part by part, on a machine with one and the lock installed.

    python -m bench.gpu
    python -m bench.gpu --only speed_vit_b_32 --only tests

Each part is a process of its own with a time limit; one that fails is named, with what it found by then. What
was found goes to bench/results/gpu.json after each part, and to a section of bench/results.md.

    python -m bench.gpu --device cpu --tiny --json FILE

tries the script where there is no GPU: its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

# Whoever asks whether there is a GPU while it is imported shall ask the driver's library: what has called
# CUDA itself cannot be forked.
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")

import open_clip  # noqa: F401  # imported here, the parts that are forked have it
import torch

from bench import machine, report
from bench.gpu import apart, memory, parity, service, speed, tests
from bench.gpu.apart import Notes
from bench.gpu.work import ARCHITECTURES, Work
from bench.weights import CACHE

RESULTS = Path(__file__).parents[1] / "results" / "gpu.json"
LIMIT_S = 470  # of all together: eight minutes with the imports

Part = Callable[[Work, Notes], None]


def prepare(work: Work, note: Notes) -> None:
    """What the device is, and weights for all parts. Raises when there is no such device."""
    torch.zeros(1, device=work.device)
    note(device=work.device)
    if work.device.startswith("cuda"):
        known: Any = torch.cuda.get_device_properties(work.device)
        note(device=known.name, memory_mib=known.total_memory >> 20, processors=known.multi_processor_count)
        note(capability=f"{known.major}.{known.minor}", cuda=torch.version.cuda)
    for architecture in ARCHITECTURES:
        work.model(architecture)


VIT_B, VIT_L = ARCHITECTURES

# Seconds that each may take; what matters most comes first, because all together have LIMIT_S.
PARTS: dict[str, tuple[float, Part]] = {
    "prepare": (50, prepare),
    "speed_vit_b_32": (60, partial(speed.measure, architecture=VIT_B)),
    "speed_vit_l_14": (80, partial(speed.measure, architecture=VIT_L)),
    "tests": (100, tests.measure),
    "parity": (80, parity.measure),
    "service_vit_b_32": (55, partial(service.measure, architecture=VIT_B)),
    "memory": (30, memory.measure),
    "service_vit_l_14": (55, partial(service.measure, architecture=VIT_L)),
    "compiled": (60, speed.compile_towers),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--device", default="cuda")
    add("--tiny", action="store_true", help="towers of two layers, parts of a second: for the script itself")
    add(
        "--only", action="append", choices=PARTS, metavar="PART", help=f"one of {', '.join(PARTS)}; repeat it"
    )
    add("--limit", type=float, default=LIMIT_S, help="seconds for all parts; more gives each part more")
    add("--weights", type=Path, default=CACHE / "gpu", help="folder for the models' random weights")
    add("--json", type=Path, default=RESULTS)
    asked = parser.parse_args()
    work = Work(asked.device, asked.tiny, asked.weights / ("tiny" if asked.tiny else "true"))
    chosen = ["prepare", *(name for name in PARTS if name in (asked.only or PARTS) and name != "prepare")]
    found = measure(work, chosen, asked.limit, asked.json)
    if "error" in found["prepare"]:
        print(f"nothing was measured: {found['prepare']['error']}", file=sys.stderr)
        return 0 if asked.device == "cuda" else 1  # `make bench` goes on where there is no GPU
    if asked.json == RESULTS:
        report.write()
    failed = {name: part["error"] for name, part in found.items() if "error" in part}
    for name, why in failed.items():
        print(f"{name} failed: {why}", file=sys.stderr)
    return len(failed)


def measure(work: Work, chosen: list[str], limit: float, file: Path) -> dict[str, Any]:
    """All parts, each within its time and what is left of `limit`; kept after each, if there is a device."""
    found: dict[str, Any] = {}
    start = "fork"
    until = time.monotonic() + limit
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            seconds, part = PARTS[name]
            left = until - time.monotonic()
            print(f"== {name}", flush=True)
            if left < 1:
                found[name] = {"error": "no time was left"}
                continue
            notes = Path(folder) / f"{name}.json"
            seconds = min(seconds * max(1, limit / LIMIT_S), left)
            found[name] = apart.run(partial(part, work), notes, seconds, start)
            if name == "prepare" and re.search("fork|initialization", found[name].get("error", "")):
                start = "spawn"  # something that is imported has called CUDA after all
                found[name] = apart.run(partial(part, work), notes, seconds, start)
            print(json.dumps(found[name]), flush=True)
            if name == "prepare" and "error" in found[name]:
                break
            file.write_text(json.dumps(result(work, found), indent=1) + "\n", "utf-8")
    return found


def result(work: Work, found: dict[str, Any]) -> dict[str, Any]:
    command = "python -m bench.gpu" + (f" --device {work.device} --tiny" if work.tiny else "")
    return {"machine": machine.describe(), "versions": machine.versions(), "command": command, "parts": found}


if __name__ == "__main__":
    sys.exit(main())
