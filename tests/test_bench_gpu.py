"""`python -m bench.gpu` without a GPU: each part runs on towers of two layers, and failures are named."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from bench.gpu import apart, section

ROOT = Path(__file__).parents[1]
# The others are these with another model.
PARTS = ("speed_vit_b_32", "parity", "service_vit_b_32", "memory", "compiled")

# 3.12 on, beside other tests' threads
FORKS = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.gpu", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_every_part_runs_on_a_cpu_and_is_written(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    only = [argument for part in PARTS for argument in ("--only", part)]
    done = run(
        *("--device", "cpu", "--tiny", "--json", str(file), "--weights", str(tmp_path), "--limit", "9e3"),
        *only,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(file.read_text("utf-8"))
    parts = found["parts"]
    assert set(parts) == {"prepare", *PARTS}
    assert {row["batch"] for row in parts["speed_vit_b_32"]["eager"]} == {1, 4}
    assert parts["parity"]["embedded"]["bf16"]["lowest_cosine"] > 0.995
    assert [row["clients"] for row in parts["service_vit_b_32"]["service"]] == [1, 32, 256]
    assert all(row["errors"] == 0 for row in parts["service_vit_b_32"]["service"])
    assert parts["memory"]["made_up"] == {
        **parts["memory"]["made_up"],
        **{"answered": 8, "answered_after": 8, "ready": True},
    }
    text = section.text(found)
    for told in ("ViT-B/32, eager, batch 4", "256 clients", "embedded, bf16", "8 of 8 pictures"):
        assert told in text


@pytest.mark.slow
@FORKS
def test_without_a_gpu_nothing_is_written_and_make_bench_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    from bench.gpu.__main__ import main

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    file = tmp_path / "gpu.json"
    monkeypatch.setattr(
        "sys.argv", ["gpu", "--json", str(file), "--only", "memory", "--weights", str(tmp_path)]
    )
    assert main() == 0
    assert "nothing was measured" in capsys.readouterr().err
    assert not file.exists()


def fails(note: apart.Notes) -> None:
    note(found=1)
    raise ValueError("no such thing")


def hangs(note: apart.Notes, pid_file: Path) -> None:
    note(found=2)
    child = subprocess.Popen(["sleep", "600"])
    pid_file.write_text(str(child.pid))
    child.wait()


@FORKS
def test_a_part_that_fails_or_hangs_ends_alone_and_keeps_what_it_found(tmp_path: Path) -> None:
    failed = apart.run(fails, tmp_path / "fails.json", 60)
    assert failed["found"] == 1 and failed["error"] == "ValueError: no such thing"
    late = apart.run(partial(hangs, pid_file=tmp_path / "pid"), tmp_path / "hangs.json", 3)
    assert late["found"] == 2 and late["error"] == "not done within 3 s"
    child = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]


def test_a_part_that_failed_is_named_in_the_report() -> None:
    parts = {"prepare": {"device": "a GPU"}, "memory": {"error": "it broke"}}
    assert "`memory` failed: it broke." in section.text({"parts": parts})
