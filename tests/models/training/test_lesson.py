from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.training import lesson as lessons
from models.training import teacher, tower
from models.training.lesson import Lesson
from tests.models.training.conftest import COLOURS, CONFIG


@pytest.fixture
def lesson() -> Lesson:
    texts = [*COLOURS, "shape"]
    ids = tower.tokenise(texts)
    targets = F.normalize(torch.randn(4, tower.EMBED_DIM, generator=torch.Generator().manual_seed(1)), dim=-1)
    return Lesson(texts, targets, ids, ids.argmax(dim=-1) + 1, torch.ones(4), torch.ones(4, dtype=torch.bool))


def test_templates_keep_the_target(lesson: Lesson) -> None:
    ids, targets = lesson.draw(64, torch.Generator().manual_seed(0))
    assert ids.shape == (64, tower.CONTEXT)
    plain = {tuple(row) for row in lesson.ids.tolist()}
    wrapped = sum(tuple(row) not in plain for row in ids.tolist())
    assert 10 < wrapped < 54
    assert all((lesson.targets - target).abs().sum(dim=1).min() == 0 for target in targets)


def test_texts_are_embedded_as_open_clip_does() -> None:
    model = tower.build(CONFIG).eval()
    texts = ["a cat", "two dogs run over a green field", "sea"]
    ours = tower.encode_texts(model.text, texts)
    theirs = model.encode_text(tower.tokenise(texts), normalize=True)
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_every_byte_pair_reads_as_something() -> None:
    strings = lessons.token_strings()
    assert len(strings) == tower.VOCABULARY - 2
    assert strings[tower.tokenise(["cat"])[0, 1]] == "cat"


def test_the_teacher_is_not_asked_twice(tmp_path: Path) -> None:
    rows = np.eye(2, teacher.DIM, dtype=np.float16)
    (tmp_path / "teacher-some.json").write_text(json.dumps(["cat", "dog"]))
    np.save(tmp_path / "teacher-some.npy", rows)
    vectors = teacher.embed(["cat", "dog", "cat"], tmp_path, "some")
    assert np.array_equal(vectors[["dog", "cat"]], rows[[1, 0]])


def test_centred_rows_are_unit_rows_without_the_mean() -> None:
    rows = np.random.default_rng(0).standard_normal((5, teacher.DIM)).astype(np.float32) + 3
    found = teacher.centred(rows, rows.mean(axis=0))
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert abs(float(found.mean())) < 0.01
