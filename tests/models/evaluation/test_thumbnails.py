"""models/evaluation/thumbnails.py: small, the right ones, and nothing for what cannot be read."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from models.evaluation.dataset import find
from models.evaluation.thumbnails import SIDE, thumbnails


def test_only_the_wanted_pictures_become_small_jpegs(tmp_path: Path, photographs: dict[str, bytes]) -> None:
    for label, data in photographs.items():
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.jpg").write_bytes(data)
        (tmp_path / label / "2.jpg").write_bytes(data[:100])
    whole = find(tmp_path)
    wanted = [item for item in whole.items if item.label in ("cat", "rocket")]
    made = thumbnails(whole, wanted)
    assert set(made) == {"cat/1.jpg", "rocket/1.jpg"}
    for data in made.values():
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.format == "JPEG" and max(picture.size) == SIDE
        assert len(data) < 30_000
