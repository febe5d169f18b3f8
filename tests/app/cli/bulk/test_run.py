"""`--ray` through the installed program, on a Ray of this machine: an actor that holds a model, and parts."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tests.fork_server import CANDID

BIN = Path(sys.executable).parent
PATIENCE_S = 300
COUNT = 300  # two parts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray: make ray"),
]


@dataclass(frozen=True)
class Ray:
    """One node on this machine."""

    address: str

    def run(self, *arguments: Any) -> subprocess.CompletedProcess[str]:
        command = [str(CANDID), *map(str, arguments), "--ray", self.address]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def ray() -> Iterator[Ray]:
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="r-") as folder,
    ):  # short: Ray's sockets are below it
        command = [str(BIN / "ray"), "start", "--head", "--port", "0", "--include-dashboard", "false"]
        sizes = ["--num-cpus", "2", "--object-store-memory", str(100 << 20), "--temp-dir", folder]
        patch.setenv("RAY_worker_niceness", "0")  # else what runs beside the tests comes first
        patch.setenv("RAY_AUTH_MODE", "disabled")  # else it writes a token into the user's home
        done = subprocess.run([*command, *sizes], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        yield Ray(Path(folder, "ray_current_cluster").read_text())
        subprocess.run([str(BIN / "ray"), "stop", "--force"], capture_output=True)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, photographs: dict[str, bytes]) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(COUNT):
        data = [*photographs.values()][number % len(photographs)]
        (folder / f"{number:03}.jpg").write_bytes(data + number.to_bytes(2, "big"))
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    return folder


def rows(place: Path) -> dict[str, dict[str, Any]]:
    """By path, each there once."""
    found = pyarrow.parquet.read_table(place).to_pylist()
    assert len({row["path"] for row in found}) == len(found)
    return {row["path"]: row for row in found}


def test_a_killed_worker_loses_no_picture_and_doubles_none(ray: Ray, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [str(CANDID), "embed", str(pictures), "-o", str(out), "--ray", ray.address]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + PATIENCE_S
    while not list(out.glob("*.parquet")):
        assert time.monotonic() < deadline and running.poll() is None
        time.sleep(0.05)
    listed = subprocess.run(["pgrep", "-f", "ray::MapWorker"], capture_output=True, text=True).stdout.split()
    for pid in listed:
        os.kill(int(pid), signal.SIGKILL)
    assert listed
    told = running.communicate(timeout=PATIENCE_S)[1]
    assert running.returncode == 1, told  # one picture cannot be read
    assert f"{COUNT + 1} pictures in" in told and "1 could not be read" in told
    found = rows(out)
    assert len(found) == COUNT + 1

    plain = tmp_path / "plain.parquet"
    few = [str(path) for path in sorted(pictures.iterdir())[:: COUNT // 10]] + [str(pictures / "damaged.jpg")]
    subprocess.run([str(CANDID), "embed", *few, "-o", str(plain)], capture_output=True, timeout=PATIENCE_S)
    for path, row in rows(plain).items():
        vector, other = row.pop("embedding"), found[path].pop("embedding")
        assert found[path] == row
        assert (vector is None) == (other is None)
        if vector is not None:
            np.testing.assert_allclose(other, vector, atol=1e-5)


def test_it_goes_on_from_the_parts_that_are_there_and_from_no_other_questions(
    ray: Ray, pictures: Path, tmp_path: Path
) -> None:
    question = ("classify", pictures, "-l", "cat", "-l", "rocket", "-o", (tmp_path / "out").as_uri())
    assert "301 pictures in" in ray.run(*question).stderr
    before = rows(tmp_path / "out")
    assert before[str(pictures / "000.jpg")]["label"] == "cat"
    lost = sorted((tmp_path / "out").glob("*.parquet"))[0]
    held = pyarrow.parquet.read_metadata(lost).num_rows
    lost.unlink()
    assert f"{held} pictures in" in (again := ray.run(*question).stderr)
    assert f"{COUNT + 1 - held} done before" in again
    after = rows(tmp_path / "out")
    assert after.keys() == before.keys()
    assert all(row["label"] == before[path]["label"] for path, row in after.items())
    other = ray.run(*question[:-2], "-l", "dog", *question[-2:])
    assert (other.returncode, "answers to another question" in other.stderr) == (2, True), other.stderr


def test_pictures_in_parquet_are_answered_as_those_in_files(
    ray: Ray, photographs: dict[str, bytes], tmp_path: Path
) -> None:
    table = pyarrow.table({"image": list(photographs.values()), "path": list(photographs)})
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    labels = [argument for name in photographs for argument in ("-l", name)]
    done = ray.run("classify", (tmp_path / "in.parquet").as_uri(), *labels, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    files = [tmp_path / f"{name}.jpg" for name in photographs]
    for file, data in zip(files, photographs.values(), strict=True):
        file.write_bytes(data)
    plain = subprocess.run(
        [str(CANDID), "classify", *files, *labels, "--json"], capture_output=True, text=True
    )
    for name, answer in zip(photographs, json.loads(plain.stdout)["results"], strict=True):
        best = rows(tmp_path / "out")[name]
        assert best["label"] == answer["ranking"][0]["label"]
        assert best["probability"] == pytest.approx(answer["ranking"][0]["probability"], abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-m", "ViT-B-32/nothing", "-o", "{}/out"), "has no pretrained tag 'nothing'"),
        (("-o", "{}/out.npy"), "with --ray an output is a folder"),
        (("--texts", "-o", "{}/out"), "--ray embeds pictures, not --texts"),
        (("--ray", "127.0.0.1:1", "-o", "{}/out"), "--ray 127.0.0.1:1: [Errno 111]"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(
    ray: Ray, pictures: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    given = [argument.format(tmp_path) for argument in arguments]
    if "--ray" in given:
        command = [str(CANDID), "embed", str(pictures), *given]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    else:
        done = ray.run("embed", pictures, *given)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr
