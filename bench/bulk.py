"""`candid embed --ray local` beside plain `candid embed`, and a worker that is killed on the way.

    python -m bench.bulk --pictures 20000 --compared 4000 --rounds 2

Small pictures, all different. First both commands take turns over the same pictures, whole commands with
their start; then one run over all of them, whose worker is killed in the middle. Wants Ray (`make ray`).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import machine, photographs

RESULTS = Path(__file__).parent / "results" / "bulk.json"
CANDID = Path(sys.executable).with_name("candid")
THUMBNAIL = (240, 160)  # px


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--compared", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        some, all_of_them = root / "some", root / "all"
        for folder, count in ((some, asked.compared), (all_of_them, asked.pictures)):
            folder.mkdir()
            for number, data in enumerate(photographs.small(count, THUMBNAIL)):
                (folder / f"{number:06}.jpg").write_bytes(data)
        rounds = [one_round(root, some, number) for number in range(asked.rounds)]
        killed = kill(all_of_them, root / "killed")
    plain, ray = (statistics.median(one[which] for one in rounds) for which in ("plain", "ray"))
    result: dict[str, Any] = {
        "machine": machine.describe(),
        "versions": machine.versions(),
        "command": " ".join(["python -m bench.bulk", *sys.argv[1:]]),
        "pictures": asked.compared,
        "plain_s": round(plain, 1),
        "ray_s": round(ray, 1),
        "ray_to_plain": round(statistics.median(one["ray"] / one["plain"] for one in rounds), 3),
        "rounds": rounds,
        "killed": killed,
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def one_round(root: Path, pictures: Path, number: int) -> dict[str, float]:
    """Seconds of each whole command."""
    return {
        "plain": seconds(pictures, root / f"plain{number}.parquet"),
        "ray": seconds(pictures, root / f"ray{number}", "--ray", "local"),
    }


def seconds(pictures: Path, output: Path, *options: str) -> float:
    began = time.perf_counter()
    command = [str(CANDID), "embed", str(pictures), "-o", str(output), *options]
    subprocess.run(command, check=True, capture_output=True)
    return round(time.perf_counter() - began, 2)


def kill(pictures: Path, output: Path) -> dict[str, Any]:
    """What is there at the end of a run whose worker is killed once half of it is done."""
    import pyarrow.parquet

    wanted = len(list(pictures.iterdir()))
    began = time.perf_counter()
    command = [str(CANDID), "embed", str(pictures), "-o", str(output), "--ray", "local"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while len(list(output.glob("*.parquet"))) * 256 < wanted / 2 and running.poll() is None:
        time.sleep(0.1)
    workers = subprocess.run(["pgrep", "-f", "ray::MapWorker"], capture_output=True, text=True).stdout.split()
    for pid in workers:
        os.kill(int(pid), signal.SIGKILL)
    running.communicate()
    paths = pyarrow.parquet.read_table(output, columns=["path"])["path"].to_pylist()
    return {
        "pictures": wanted,
        "workers_killed": len(workers),
        "exit": running.returncode,
        "seconds": round(time.perf_counter() - began, 1),
        "rows": len(paths),
        "distinct": len(set(paths)),
    }


if __name__ == "__main__":
    main()
