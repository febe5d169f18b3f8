from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.training.loop import evaluate_zero_shot
from models.training.model import towers
from tests.models.training.conftest import COLOURS, CONFIG, SIDE, write_eval


def test_a_set_is_read_and_measured(tmp_path: Path) -> None:
    write_eval(tmp_path / "eval")
    (found,) = evaluate_zero_shot.read_sets(tmp_path / "eval", SIDE)
    assert found.name == "imagenette"
    assert found.classes == sorted(COLOURS)
    assert found.labels.tolist() == [2, 2, 1, 1, 0, 0]
    torch.manual_seed(0)
    measured = evaluate_zero_shot.evaluate(towers.build(CONFIG).eval(), [found])
    assert measured["top1 imagenette"] in [pytest.approx(i / 6, abs=1e-3) for i in range(7)]
    assert measured["top1 photographs"] in [pytest.approx(i / 5) for i in range(6)]
