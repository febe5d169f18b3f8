"""Several processes on this machine beside one: `candid serve --workers`, and layouts of Ray Serve, in turn.

    make ray && python -m bench.layouts --seconds 5 --rounds 3

The embedded model, thumbnails, no picture from a cache; 1 and 32 clients (open_loop.c). The other service is
idle meanwhile. /healthz, which no encoder has a part in, shows what Serve's proxy and routing cost a request.
Figures go to bench/results/layouts.json, and from there to docs/scale.md.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bench import machine, photographs, quoted
from bench.clients import THUMBNAIL
from bench.resilience.overload import answered, offer
from bench.resilience.service import Service, free_port, serving

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "layouts.json"
PAGE = ROOT / "docs" / "scale.md"
BIN = Path(sys.executable).parent
PLAIN = "`candid serve`, one process"
WORKERS = "`candid serve --workers 2`"
# Of Ray Serve: replicas of the ingress, replicas of the encoders, threads of each encoder.
LAYOUTS = {
    "Ray: 1 ingress, 1 encoder replica of 2 threads": (1, 1, 2),
    "Ray: 1 ingress, 2 encoder replicas of 1 thread": (1, 2, 1),
    "Ray: 2 ingress, 2 encoder replicas of 1 thread": (2, 2, 1),
    "Ray: 1 ingress, 1 encoder replica of 1 thread": (1, 1, 1),
}
CLIENTS = (1, 32)
START_S = 300.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="of each burst")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-ray", action="store_true", help="its rows stay as they were measured before")
    asked = parser.parse_args()
    files = photographs.small(128, THUMBNAIL)
    rows: dict[str, dict[str, float]] = {}
    with (
        tempfile.TemporaryDirectory() as requests,
        serving(image_cache_bytes=0, log_level="warning") as plain,
    ):

        def in_turn(port: int) -> dict[str, float]:
            pairs = []
            for number in range(asked.rounds + 1):
                found = {
                    each: one_round(each, files, Path(requests), asked.seconds)
                    for each in machine.rotated([plain.port, port], number)
                }
                pairs.append([found[plain.port], found[port]])
                print(json.dumps(pairs[-1]), flush=True)
            return compared(pairs[1:])  # the first is not counted

        with serving(workers=2, image_cache_bytes=0, log_level="warning") as fronts:
            rows[WORKERS] = in_turn(fronts.port)
        if asked.no_ray:
            rows = json.loads(RESULTS.read_text("utf-8"))["rows"] | rows
        else:
            on_ray(rows, in_turn)
    result = {
        "machine": machine.describe(),
        "command": "python -m bench.layouts",
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    PAGE.write_text(quoted.filled(PAGE.read_text("utf-8"), "bench: layouts", table(result), PAGE), "utf-8")
    print(table(result))


def on_ray(rows: dict[str, dict[str, float]], in_turn: Callable[[int], dict[str, float]]) -> None:
    """Fill in a row for each of LAYOUTS."""
    with (
        tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder,
        cluster(Path(folder)) as (served, dashboard),
    ):
        for layout, sizes in LAYOUTS.items():
            deploy(Path(folder), served, dashboard, *sizes)
            rows[layout] = in_turn(served.port)


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[Service, Service]]:
    """Ray on this machine while the block lasts: what it will serve, and its dashboard."""
    port, dashboard, head = (free_port() for _ in range(3))
    command = [str(BIN / "ray"), "start", "--head", "--block", "--disable-usage-stats", "--num-cpus", "8"]
    command += ["--port", str(head), "--dashboard-port", str(dashboard), "--temp-dir", str(folder)]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "CANDID_DATABASE_URL": f"sqlite:///{folder}/candid.db",
        "RAY_AUTH_MODE": "disabled",
        "RAY_worker_niceness": "0",
    }
    os.environ["RAY_AUTH_MODE"] = "disabled"
    with (folder / "log").open("wb") as log:
        ray = subprocess.Popen(
            [*command, "--object-store-memory", str(200 << 20)], env=environment, stdout=log, stderr=log
        )
    try:
        yield Service(ray, port), Service(ray, dashboard)
    finally:
        ray.terminate()
        ray.wait(timeout=60)


def deploy(
    folder: Path, served: Service, dashboard: Service, ingress: int, encoders: int, threads: int
) -> None:
    """deploy/ray/serve.yaml with so many replicas, anew; it answers when this returns."""
    config: Any = yaml.safe_load((ROOT / "deploy/ray/serve.yaml").read_text("utf-8"))
    config["http_options"] |= {"host": "127.0.0.1", "port": served.port}
    [application] = config["applications"]
    application["args"] |= {"image_cache_bytes": 0, "warm_vocabularies": False, "log_level": "warning"}
    replicas = {"ingress": ingress, "encoders": encoders, "texts": 1}
    for deployment in application["deployments"]:
        deployment.pop("autoscaling_config", None)
        deployment["num_replicas"] = replicas[deployment["name"]]
        if deployment["name"] == "encoders":
            deployment["ray_actor_options"] = {"num_cpus": threads}
    file = folder / "serve.yaml"
    file.write_text(yaml.safe_dump(config), "utf-8")
    address = f"http://127.0.0.1:{dashboard.port}"
    until = time.monotonic() + START_S
    command = [str(BIN / "serve"), "deploy", str(file), "-a", address]
    while (done := subprocess.run(command, capture_output=True, text=True)).returncode:
        if time.monotonic() > until:
            raise RuntimeError(done.stderr)
        time.sleep(1)
    while not running(dashboard, replicas) or served.ask("GET", "/readyz") != 200:
        if time.monotonic() > until:
            raise RuntimeError("Candid did not start on Ray")
        time.sleep(0.5)


def running(dashboard: Service, replicas: Mapping[str, int]) -> bool:
    """Whether these replicas run, and no others."""
    try:
        deployments = dashboard.read("/api/serve/applications/")["applications"]["candid"]["deployments"]
    except (OSError, ValueError, KeyError):
        return False
    found = {
        name: [each["state"] for each in deployment["replicas"]] for name, deployment in deployments.items()
    }
    return found == {name: ["RUNNING"] * count for name, count in replicas.items()}


def one_round(port: int, files: list[bytes], folder: Path, seconds: float) -> dict[str, float]:
    """Answers a second of 1 and of 32 clients, and milliseconds of a /healthz on a connection that stays."""
    found: dict[str, float] = {"errors": 0.0}
    for clients in CLIENTS:
        came = offer(folder, port, -clients, seconds, files)
        found[f"{clients}_per_s"] = answered(came)
        others = sum(each["count"] for key, each in came["statuses"].items() if key != "200")
        found["errors"] += came["lost"] + others
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    taken = []
    for _ in range(100):
        began = time.perf_counter()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        taken.append((time.perf_counter() - began) * 1e3)
    connection.close()
    return {**found, "healthz_ms": statistics.median(taken)}


def compared(rounds: list[list[dict[str, float]]]) -> dict[str, float]:
    """Medians of the rounds, and of their ratios to `candid serve`."""
    found = {"errors": sum(each["errors"] for pair in rounds for each in pair), "rounds": len(rounds)}
    for key in (*(f"{clients}_per_s" for clients in CLIENTS), "healthz_ms"):
        found[key] = round(statistics.median(ray[key] for _, ray in rounds), 2)
        found[f"plain_{key}"] = round(statistics.median(plain[key] for plain, _ in rounds), 2)
        found[f"{key}_ratio"] = round(statistics.median(ray[key] / plain[key] for plain, ray in rounds), 2)
    return found


def table(result: Mapping[str, Any]) -> str:
    """A row a layout, beside what `candid serve` did in the same rounds."""
    rows = []
    for name, row in result["rows"].items():
        rates = [(row[f"{n}_per_s"], row[f"plain_{n}_per_s"], row[f"{n}_per_s_ratio"]) for n in CLIENTS]
        cells = [f"{ray:.1f} beside {plain:.1f} ({ratio:.2f})" for ray, plain, ratio in rates]
        rows.append([name, *cells, f"{row['healthz_ms']:.1f} beside {row['plain_healthz_ms']:.1f}"])
    head = [f"beside {PLAIN}", "requests/s, 1 client", "32 clients", "ms of a `/healthz`"]
    return f"{quoted.table(head, rows)}\nMeasured on {quoted.cores(result)} (`{result['command']}`).\n"


if __name__ == "__main__":
    main()
