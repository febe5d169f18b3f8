"""A real service on a real port, and the other programs' own clients, unmodified, to ask it.

Clients whose requirements do not fit beside the service's have a place of their own: `clients/`. The tests
that need one are skipped where it is not installed; `make clients` does it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.app.web.service import free_port, serving

CLIENTS = Path(__file__).with_name("clients")
KEY = "correct-horse-battery"

Run: TypeAlias = Callable[..., str]


@pytest.fixture(scope="session")
def server(classifier: Any) -> Iterator[str]:
    """The address of a service with one model and no keys."""
    with serving({classifier.info.name: classifier}, free_port()) as url:
        yield url.rstrip("/")


@pytest.fixture(scope="session")
def locked(classifier: Any) -> Iterator[str]:
    """The address of one that wants KEY."""
    with serving({classifier.info.name: classifier}, free_port(), api_keys=(KEY,)) as url:
        yield url.rstrip("/")


@pytest.fixture
def folder(tmp_path: Path, cat: bytes) -> Path:
    """Where clients run: with the photograph cat.jpg in it."""
    (tmp_path / "cat.jpg").write_bytes(cat)
    return tmp_path


@pytest.fixture
def python(folder: Path) -> Run:
    """Runs Python code beside the clients that have an environment of their own."""
    python = CLIENTS / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        pytest.skip("needs tritonclient and inference-sdk in an environment of their own: make clients")
    return lambda code, *arguments: run([python, "-c", code, *arguments], folder)


@pytest.fixture
def node(folder: Path) -> Run:
    """Runs JavaScript beside @huggingface/inference."""
    node = shutil.which("node")
    if node is None or not (CLIENTS / "node_modules" / "@huggingface" / "inference").is_dir():
        pytest.skip("needs node and @huggingface/inference: make clients")
    # Modules are looked for where the code stands, beside node_modules; files where the client runs.
    begin = f"process.chdir({json.dumps(str(folder))});"
    return lambda code, *arguments: run(
        [node, "--input-type=module", "-e", begin + code, *arguments], CLIENTS
    )


def run(command: list[Any], folder: Path) -> str:
    """What a command that succeeds writes."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
