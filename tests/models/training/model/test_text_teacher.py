from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from models.training.model import text_teacher


def test_the_teacher_is_not_asked_twice(tmp_path: Path) -> None:
    rows = np.eye(2, text_teacher.DIM, dtype=np.float16)
    (tmp_path / "teacher-some.json").write_text(json.dumps(["cat", "dog"]))
    np.save(tmp_path / "teacher-some.npy", rows)
    vectors = text_teacher.embed(["cat", "dog", "cat"], tmp_path, "some")
    assert np.array_equal(vectors[["dog", "cat"]], rows[[1, 0]])


def test_centred_rows_are_unit_rows_without_the_mean() -> None:
    rows = np.random.default_rng(0).standard_normal((5, text_teacher.DIM)).astype(np.float32) + 3
    found = text_teacher.centred(rows, rows.mean(axis=0))
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert abs(float(found.mean())) < 0.01
