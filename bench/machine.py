"""What a figure was measured on, and how the rest of the machine is kept still meanwhile."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import torch

T = TypeVar("T")


def describe() -> dict[str, Any]:
    """Processor, its widest vectors that torch uses, cores, memory and system."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Packages that decide how fast Candid is; an extra may be missing."""
    wanted = ("torch", "open_clip_torch", "onnxruntime", "openvino", "pillow", "numpy", "fastapi", "uvicorn")
    found = {}
    for package in wanted:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def rotated(ways: list[T], turn: int) -> list[T]:
    """The same ways, another one first in each turn: what the machine does otherwise falls on all alike."""
    first = turn % len(ways)
    return ways[first:] + ways[:first]


def refuse_taken(port: int, who: str) -> None:
    """Raise RuntimeError when something listens there already."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise RuntimeError(f"port {port} is taken: another {who} would be measured")


@contextmanager
def quiet(command: str | None) -> Iterator[None]:
    """Run `command begin` before and `command end` after what is measured: a place to pause other work."""
    if command:
        subprocess.run([command, "begin"], check=True)
    try:
        yield
    finally:
        if command:
            subprocess.run([command, "end"], check=True)
