from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from models.training.model import checkpoint


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.pt"
    assert checkpoint.load(path) is None
    checkpoint.save(path, {"step": 3, "weight": torch.arange(4)})
    state = checkpoint.load(path)
    assert state is not None
    assert state["step"] == 3
    assert torch.equal(state["weight"], torch.arange(4))


def test_an_interrupted_save_leaves_the_last_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    checkpoint.save(path, {"step": 1})
    with pytest.raises(AttributeError):
        checkpoint.save(path, {"step": 2, "unsavable": lambda: None})
    assert checkpoint.load(path) == {"step": 1}


def test_the_record_is_a_line_of_json_each_time(tmp_path: Path) -> None:
    checkpoint.log(tmp_path / "run.jsonl", step=1, loss=0.5)
    checkpoint.log(tmp_path / "run.jsonl", step=2)
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 1, "loss": 0.5}, {"step": 2}]
