from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from models.training.loop import plot


def test_a_record_becomes_a_picture(tmp_path: Path) -> None:
    lines = [{"phase": "locked", "hours": i / 10, "labels": 7 - i, "replay": 0.5} for i in range(1, 4)]
    lines.append({"phase": "joint", "hours": 0.1, "top1 imagenette": 0.5, "top1 photographs": 0.8})
    record = tmp_path / "run.jsonl"
    record.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    assert [line["hours"] for line in plot.read(record)][-1] == pytest.approx(0.3 + 0.1)
    plot.draw(plot.read(record), tmp_path / "training.png")
    with Image.open(tmp_path / "training.png") as picture:
        assert picture.size == (900, 360)
