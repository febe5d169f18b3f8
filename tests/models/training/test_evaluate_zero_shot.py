from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from models.training import evaluate_zero_shot, tower
from tests.models.training.conftest import COLOURS, CONFIG
from tests.models.training.test_data import add


def test_a_set_is_read_once_and_measured(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "colours.tar.gz", "w:gz") as tar:
        for name, colour in COLOURS.items():
            for number in range(2):
                file = io.BytesIO()
                Image.new("RGB", (90, 70), colour).save(file, "JPEG")
                add(tar, f"{name}/{number}.jpg", file.getvalue())
    first = evaluate_zero_shot.read_set(tmp_path / "colours.tar.gz", tmp_path)
    (tmp_path / "colours.tar.gz").unlink()
    again = evaluate_zero_shot.read_set(tmp_path / "colours.tar.gz", tmp_path)
    assert first.classes == again.classes == sorted(COLOURS)
    assert first.labels.tolist() == [2, 2, 1, 1, 0, 0]
    torch.manual_seed(0)
    model = tower.build(CONFIG).train()
    found = evaluate_zero_shot.evaluate(model, [again], 64)
    assert 0 <= found["colours"] <= 1
    assert found["photographs"] in [pytest.approx(i / 5) for i in range(6)]
    assert model.training
