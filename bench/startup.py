"""From `candid serve` to ready with the embedded model, beside `python -c "import open_clip"`, in turn.

python -m bench.startup --rounds 5
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from bench import machine

RESULTS = Path(__file__).parent / "results" / "startup.json"
PORT = 8311


def seconds_to_ready() -> float:
    """Start the service as a user does, ask /readyz until it is 200, stop it."""
    machine.refuse_taken(PORT, "service")
    started = time.perf_counter()
    command = [str(Path(sys.executable).with_name("candid")), "serve", "--port", str(PORT)]
    service = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=5).close()
                return time.perf_counter() - started
            except OSError:
                time.sleep(0.01)
                if service.poll() is not None:
                    raise RuntimeError("the service ended") from None
    finally:
        service.terminate()
        service.wait()


def seconds_to_import() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import open_clip"], check=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    seconds_to_ready(), seconds_to_import()  # so that both find their files in the page cache
    pairs = [(seconds_to_ready(), seconds_to_import()) for _ in range(asked.rounds)]
    ready, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    result = {
        "ready_s": ready,
        "import_open_clip_s": bare,
        "ratio": statistics.median(one / other for one, other in pairs),
        "machine": machine.describe(),
        "versions": machine.versions(),
        "command": f"python -m bench.startup --rounds {asked.rounds}",
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
