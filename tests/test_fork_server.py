"""The command that the tests fork is its caller's, and the places that are called slow are there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.conftest import SLOW_PLACES, TESTS

PATIENCE_S = 300  # on a machine that does much else


def test_folder_arguments_environment_and_exit_status_are_the_callers(tmp_path: Path, candid: Path) -> None:
    (tmp_path / "pets.json").write_text('{"labels": ["cat", "dog"]}')
    environment = {**os.environ, "CANDID_DATABASE_URL": f"sqlite:///{tmp_path}/of-this-caller.db"}
    for arguments, status in ((["put", "pets", "pets.json"], 0), (["show", "birds"], 2)):
        done = subprocess.run(
            [candid, "label-sets", *arguments], cwd=tmp_path, env=environment, capture_output=True
        )
        assert done.returncode == status, done.stderr
    assert (tmp_path / "of-this-caller.db").exists()
    assert b"there is no label set 'birds'" in done.stderr


def test_it_dies_with_its_caller(tmp_path: Path, candid: Path) -> None:
    environment = {**os.environ, "CANDID_DATABASE_URL": f"sqlite:///{tmp_path}/sets.db"}
    with subprocess.Popen(
        [candid, "serve", "--port", "0"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as service:
        assert service.stderr is not None
        assert any(b"Uvicorn running" in line for line in service.stderr)
        service.kill()
        service.communicate(timeout=PATIENCE_S)  # returns when the command, too, has let go of it
        assert service.returncode < 0


def test_slow_places_are_there() -> None:
    assert [place for place in SLOW_PLACES if not (TESTS / place).exists()] == []
