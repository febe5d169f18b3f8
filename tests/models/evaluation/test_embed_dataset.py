"""models/evaluation/embed_dataset.py: order, bad pictures and the bound on what is under way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import InvalidRequest
from models.evaluation.dataset import find
from models.evaluation.embed_dataset import embed
from tests.models.fakes import FakeClassifier, direction


def test_pictures_keep_their_order_and_bad_ones_are_named(tmp_path: Path) -> None:
    for i in range(40):
        (tmp_path / f"c{i % 4}").mkdir(exist_ok=True)
        (tmp_path / f"c{i % 4}" / f"{i:02}.jpg").write_bytes(b"" if i in (5, 6) else f"picture {i}".encode())
    seen: list[tuple[int, int]] = []
    found = embed(FakeClassifier(), find(tmp_path), progress=lambda *at: seen.append(at), ahead=4)
    assert [(u.name, u.reason) for u in found.unreadable] == [("c1/05.jpg", "empty"), ("c2/06.jpg", "empty")]
    assert len(found.items) == len(found.vectors) == 38
    for item, row in zip(found.items, found.vectors, strict=True):
        assert (row == direction(f"picture {int(item.name[3:5])}")).all()
    assert seen == [(i, 40) for i in range(1, 41)]
    assert found.vectors.dtype == np.float32 and found.seconds > 0


def test_a_missing_file_counts_as_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"cat")
    (tmp_path / "list.csv").write_text("a.jpg,cat\nb.jpg,dog\n")
    found = embed(FakeClassifier(), find(tmp_path / "list.csv"))
    assert [u.name for u in found.unreadable] == ["b.jpg"]
    assert [item.name for item in found.items] == ["a.jpg"]


def test_no_readable_picture_at_all_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.jpg").write_bytes(b"")
    with pytest.raises(InvalidRequest, match="none of 1 pictures"):
        embed(FakeClassifier(), find(tmp_path))


def test_no_more_than_the_read_ahead_is_under_way(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    for i in range(60):
        (tmp_path / "cat" / f"{i}.jpg").write_bytes(b"cat")
    classifier = FakeClassifier()
    embed(classifier, find(tmp_path), ahead=5)
    assert 1 <= classifier.most_under_way <= 5
