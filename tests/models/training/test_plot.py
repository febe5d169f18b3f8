from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from models.training import plot


def test_a_record_becomes_a_picture(tmp_path: Path) -> None:
    lines = [{"seen": 100 * i, "hours": i / 10, "soft": 7 - i, "replay": 0.5} for i in range(1, 4)]
    lines.append({"seen": 300, "hours": 0.4, "top1 imagenette": 0.5, "top1 photographs": 0.8})
    record = tmp_path / "joint.jsonl"
    record.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    plot.draw(plot.read(record), tmp_path / "training.png")
    with Image.open(tmp_path / "training.png") as picture:
        assert picture.size == (900, 360)
