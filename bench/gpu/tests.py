"""The tests that need a GPU, by pytest's marker `gpu`, in a process of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from bench.gpu.apart import Notes
from bench.gpu.work import Work

ROOT = Path(__file__).resolve().parents[2]


def measure(work: Work, note: Notes) -> None:
    """How many passed. Raises RuntimeError when one failed, or where there is a GPU, none ran."""
    # Other versions than the lock's may warn of what is to come: that is no reason to know nothing.
    options = ["-q", "-m", "gpu", "-W", "default", "-p", "no:cacheprovider", "--tb=short"]
    command = [sys.executable, "-m", "pytest", *options, "tests/models/encoders/test_gpu.py"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    counts = re.findall(r"(\d+) (passed|failed|error|skipped)", done.stdout.strip().rpartition("\n")[2])
    found = {kind: int(count) for count, kind in counts}
    note(
        counts=found, said=[line[:300] for line in done.stdout.splitlines() if re.match("FAILED|ERROR", line)]
    )
    wanted = "passed" if work.device.startswith("cuda") else "skipped"
    if done.returncode or not found.get(wanted):
        print(done.stdout[-8000:], flush=True)
        raise RuntimeError(f"pytest ended with {done.returncode}: {found}")
