"""Cold start with the embedded model: Candid here, beside `import open_clip` and, if given, another checkout.

python -m bench.startup --rounds 5
python -m bench.startup --rounds 5 --beside ../other-checkout

Everything is run in turn, so that a machine that does other things slows all of them; a ratio is the median
of the rounds' own. An export is kept beforehand, as the installation does it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench import machine, photographs

RESULTS = Path(__file__).parent / "results" / "startup.json"
HERE = Path(__file__).parents[1]
PORT = 8311
PICTURE = "picture.jpg"

Cost = dict[str, float]  # wall_s, cpu_s, and rss_mb where it is known


def candid(checkout: Path) -> str:
    return (
        str(checkout / ".venv/bin/candid")
        if checkout != HERE
        else str(Path(sys.executable).with_name("candid"))
    )


def environment(checkout: Path, exports: Path) -> dict[str, str]:
    """Each checkout has its own exports, and nothing of the user's."""
    name = checkout.resolve().name
    return {
        **os.environ,
        "CANDID_DEVICE": "cpu",
        "CANDID_ENCODER_DIR": str(exports / f"encoders-{name}"),
        "CANDID_TEXT_STORE_DIR": str(exports / f"texts-{name}"),
        "CANDID_DATABASE_URL": f"sqlite:///{exports}/{name}.db",
    }


def ready(checkout: Path, exports: Path) -> Cost:
    """Start the service as a user does, ask /readyz until it is 200, and what it holds after one answer."""
    machine.refuse_taken(PORT, "service")
    started = time.perf_counter()
    service = subprocess.Popen(
        [candid(checkout), "serve", "--port", str(PORT)],
        env=environment(checkout, exports),
        cwd=checkout,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=5).close()
                wall = time.perf_counter() - started
                break
            except OSError:
                time.sleep(0.01)
                if service.poll() is not None:
                    raise RuntimeError("the service ended") from None
        cpu, _ = used(service.pid)
        picture = (exports / PICTURE).read_bytes()
        question = f"http://127.0.0.1:{PORT}/v1/classify?labels=cat&labels=dog"
        headers = {"Content-Type": "image/jpeg"}
        for _ in range(3):
            urllib.request.urlopen(urllib.request.Request(question, picture, headers), timeout=60).close()
        return {"wall_s": wall, "cpu_s": cpu, "rss_mb": used(service.pid)[1]}
    finally:
        service.terminate()
        service.wait()


def used(pid: int) -> tuple[float, float]:
    """CPU seconds and resident MB of a process, from Linux's /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def command(arguments: list[str], cwd: Path, env: dict[str, str]) -> Cost:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        arguments, check=True, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu}


def classify(checkout: Path, exports: Path, picture: Path) -> Cost:
    arguments = [candid(checkout), "classify", str(picture), "-l", "cat", "-l", "dog"]
    return command(arguments, checkout, environment(checkout, exports))


def ways(exports: Path, beside: Path | None) -> dict[str, Callable[[], Cost]]:
    picture = exports / PICTURE
    picture.write_bytes(photographs.large(1, 90)[0])
    found: dict[str, Callable[[], Cost]] = {
        "import open_clip": partial(
            command, [sys.executable, "-c", "import open_clip"], HERE, dict(os.environ)
        ),
    }
    for name, checkout in {"": HERE, " beside": beside}.items():
        if checkout is not None:
            found[f"serve{name}"] = partial(ready, checkout, exports)
            found[f"classify{name}"] = partial(classify, checkout, exports, picture)
    return found


def summary(costs: dict[str, list[Cost]]) -> dict[str, Any]:
    """Medians, and the ratios that are promised, round by round."""
    found: dict[str, Any] = {
        name: {key: round(statistics.median(each[key] for each in rounds), 2) for key in rounds[0]}
        for name, rounds in costs.items()
    }
    pairs = {"serve": "import open_clip", "classify": "classify beside"}
    found["ratios"] = {
        f"{ours} / {theirs}, {key}": round(
            statistics.median(a[key] / b[key] for a, b in zip(costs[ours], costs[theirs], strict=True)), 3
        )
        for ours, theirs in pairs.items()
        if theirs in costs
        for key in ("wall_s", "cpu_s")
    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beside", type=Path, help="another checkout, with a .venv of its own")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        every = ways(Path(folder), asked.beside.resolve() if asked.beside else None)
        costs: dict[str, list[Cost]] = {name: [] for name in every}
        for done in range(asked.rounds + 1):
            for name, way in machine.rotated(list(every.items()), done):
                cost = way()
                if done:  # the first round makes the exports and fills the page cache
                    costs[name].append(cost)
    found = summary(costs)
    result = {
        "ready_s": found["serve"]["wall_s"],
        "import_open_clip_s": found["import open_clip"]["wall_s"],
        "ratio": found["ratios"]["serve / import open_clip, wall_s"],
        **found,
        "machine": machine.describe(),
        "versions": machine.versions(),
        "command": f"python -m bench.startup --rounds {asked.rounds}"
        + (f" --beside {asked.beside.name}" if asked.beside else ""),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
