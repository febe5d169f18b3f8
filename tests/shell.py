"""A shell block of the documentation, run as a reader runs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.fork_server import CANDID

PATIENCE_S = 900  # on a machine that does much else


def run(
    block: str, folder: Path, address: str, candid: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """In `folder`, with this `candid`, against the service at `address`. It has to succeed."""
    path = os.pathsep.join((str(candid.parent), str(CANDID.parent), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.replace("127.0.0.1:8000", address)],
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
    return done
