"""A model whose export is kept is served, classified with and measured without torch or open_clip."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import models
from models.errors import ModelUnavailable
from tests.server import Server

HEAVY = {"torch", "torchvision", "open_clip", "timm", "transformers", "scipy", "pandas"}

# Read by Python at its start: writes down, at the end, which modules the process has imported.
WITNESS = """
import atexit, json, os, sys
atexit.register(lambda: open(os.environ["MODULES"], "w").write(json.dumps(sorted(sys.modules))))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of programs that find the embedded model's export, made here in another process."""
    folder = tmp_path_factory.mktemp("witness")
    (folder / "sitecustomize.py").write_text(WITNESS)
    found = {
        **os.environ,
        "CANDID_DEVICE": "cpu",
        "CANDID_ENCODER_DIR": str(folder / "exports"),
        "PYTHONPATH": str(folder),
        "MODULES": str(folder / "modules.json"),
    }
    made = subprocess.run(
        [sys.executable, "-m", "app.model_loading"], env=found, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"embedded: openvino, {folder / 'exports'}\n"
    return found


def imported(environment: dict[str, str]) -> set[str]:
    names = json.loads(Path(environment["MODULES"]).read_text())
    assert "opentelemetry.sdk" not in names, "wanted only where an endpoint is named"
    return {name.partition(".")[0] for name in names}


def candid(environment: dict[str, str], *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("candid")), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, photographs: dict[str, bytes]) -> Path:
    """Pictures in folders that are called what they show."""
    root = tmp_path_factory.mktemp("pictures")
    for name, data in photographs.items():
        (root / name).mkdir()
        for number in range(6):  # a fit wants 20
            (root / name / f"{number}.jpg").write_bytes(data + bytes([number]))
    return root


def test_the_service_answers_without_torch(
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    photographs: dict[str, bytes],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    server = Server(tmp_path)
    try:
        server.wait_until_ready()
        question = urllib.request.Request(
            f"{server.url}/v1/classify?labels=cat&labels=rocket",
            photographs["cat"],
            {"Content-Type": "image/jpeg"},
        )
        with urllib.request.urlopen(question, timeout=60) as reply:
            answer = json.load(reply)
        maps = Path(f"/proc/{server.process.pid}/maps")
        if maps.exists():
            assert "libtorch" not in maps.read_text()
    finally:
        status = server.stop()
    assert answer["results"][0]["ranking"][0]["label"] == "cat"
    assert status == 0
    assert "openvino" in imported(environment)
    assert not imported(environment) & HEAVY


@pytest.mark.parametrize("spec", ["embedded", "ViT-B-32/openai"])
def test_without_torch_and_without_an_export_it_says_what_to_do(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else find_spec(name))
    monkeypatch.setattr("models.loading.INSTALLED", tmp_path / "none")  # `make` has put one there
    with pytest.raises(ModelUnavailable, match=r"no export of it.*, and torch"):
        models.load(spec, models.LoadOptions(encoder_dir=tmp_path))


def test_the_command_line_needs_no_torch_either(environment: dict[str, str], folders: Path) -> None:
    picture = str(folders / "cat" / "1.jpg")
    for arguments in (
        ("classify", picture, "-l", "cat", "-l", "dog"),
        ("evaluate", str(folders)),
        ("calibrate", str(folders), "--show"),
    ):
        candid(environment, *arguments)
        assert not imported(environment) & HEAVY, arguments
