"""models/evaluation/evaluate.py against counting by hand, over vectors of known directions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import InvalidRequest
from models.evaluation.dataset import LabelledPicture, find
from models.evaluation.embed_dataset import EmbeddedSet
from models.evaluation.evaluate import evaluate, measure
from models.labels.label_matrix import LabelMatrix
from models.labels.label_set import Label, LabelSet
from models.scoring.few_shot import Taught
from models.scoring.ranking import rank
from models.scoring.scorer import Fitted, Scorer, scorer
from tests.models.fakes import FakeClassifier

KEYS = ["model", "template", "images", "classes", "top1", "top5", "ece", "seconds"]


def unit(rng, *shape: int):
    rows = rng.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def random_set(images: int, classes: int) -> tuple[EmbeddedSet, LabelMatrix]:
    rng = np.random.default_rng(0)
    matrix = LabelMatrix(tuple(f"label {i}" for i in range(classes)), unit(rng, classes, 12))
    truth = rng.integers(classes, size=images)
    rows = matrix.vectors[truth] * 0.5 + unit(rng, images, 12)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    items = tuple(LabelledPicture(f"{i}.jpg", matrix.labels[t], i) for i, t in enumerate(truth))
    return EmbeddedSet(items, rows, (), 2.0), matrix


def words(matrix: LabelMatrix, scale: float, temperature: float = 1.0) -> Scorer:
    label_set = LabelSet(tuple(map(Label, matrix.labels)))
    return scorer(label_set, matrix, logit_scale=scale, fitted=Fitted(temperature))


def test_every_figure_is_what_counting_over_plain_rankings_gives() -> None:
    embedded, matrix = random_set(200, 9)
    found = measure(embedded, words(matrix, 15.0), model="m", template="t", seconds=1.0)
    rankings = [rank(row, matrix, logit_scale=15.0) for row in embedded.vectors]
    truths = [item.label for item in embedded.items]
    right = [r[0].label == t for r, t in zip(rankings, truths, strict=True)]
    assert found.top1 == pytest.approx(sum(right) / 200)
    in_five = sum(t in [x.label for x in r[:5]] for r, t in zip(rankings, truths, strict=True))
    assert found.top5 == pytest.approx(in_five / 200)
    for score in found.per_class:
        own = [ok for ok, t in zip(right, truths, strict=True) if t == score.label]
        assert (score.images, score.accuracy) == (len(own), pytest.approx(sum(own) / len(own)))
    assert sum(score.images for score in found.per_class) == 200
    wrong = [(t, r[0].label) for r, t in zip(rankings, truths, strict=True) if r[0].label != t]
    assert all(c.count == wrong.count((c.truth, c.predicted)) for c in found.confusions)
    assert [c.count for c in found.confusions] == sorted((c.count for c in found.confusions), reverse=True)
    surest = max(r[0].probability for r, ok in zip(rankings, right, strict=True) if not ok)
    assert found.mistakes[0].probability == pytest.approx(surest, rel=1e-5)
    assert sum(b.count for b in found.reliability) == 200
    assert 3.0 < found.seconds < 60


def test_the_row_for_json_has_exactly_the_promised_keys() -> None:
    embedded, matrix = random_set(20, 3)
    row = measure(embedded, words(matrix, 15.0), model="m", template="t").row()
    assert list(row) == KEYS
    assert (row["model"], row["template"], row["images"], row["classes"]) == ("m", "t", 20, 3)


def test_a_temperature_changes_how_sure_it_is_but_no_answer() -> None:
    embedded, matrix = random_set(100, 4)
    hot = measure(embedded, words(matrix, 90.0, 30.0), model="m", template="t")
    cold = measure(embedded, words(matrix, 90.0), model="m", template="t")
    assert (hot.top1, hot.top5, hot.per_class) == (cold.top1, cold.top5, cold.per_class)
    assert hot.ece < cold.ece
    assert hot.ece == measure(embedded, words(matrix, 3.0), model="m", template="t").ece


def test_examples_count_in_what_is_measured() -> None:
    embedded, matrix = random_set(60, 4)
    wrong = LabelMatrix(matrix.labels, matrix.vectors[::-1].copy())  # each label has another one's words
    label_set = LabelSet(tuple(map(Label, matrix.labels)))
    lesson = Taught(1e6 * matrix.vectors, np.zeros(len(matrix.labels)))
    taught = scorer(label_set, wrong, logit_scale=15.0, taught=lesson)
    right = measure(embedded, words(matrix, 15.0), model="m", template="t").top1
    assert measure(embedded, taught, model="m", template="t").top1 == right > 0.5
    assert measure(embedded, words(wrong, 15.0), model="m", template="t").top1 < 0.5


def test_equal_similarities_rank_in_the_order_of_the_labels() -> None:
    same = np.tile(np.eye(3, dtype=np.float32)[:1], (6, 1))
    matrix = LabelMatrix(("a", "b", "c", "d", "e", "f"), same)
    items = (LabelledPicture("1", "a", 1), LabelledPicture("2", "e", 2), LabelledPicture("3", "f", 3))
    found = measure(EmbeddedSet(items, same[:3], (), 0.0), words(matrix, 1.0), model="m", template="t")
    assert found.top1 == pytest.approx(1 / 3)
    assert found.top5 == pytest.approx(2 / 3)


def test_a_picture_of_a_label_that_is_not_ranked_is_an_error() -> None:
    embedded, matrix = random_set(10, 3)
    with pytest.raises(InvalidRequest, match="label 0") as caught:
        measure(
            embedded,
            words(LabelMatrix(matrix.labels[1:], matrix.vectors[1:]), 1.0),
            model="m",
            template="t",
        )
    assert caught.value.field == "labels"


def test_each_template_is_one_configuration(tmp_path: Path) -> None:
    for label in ("cat", "dog", "owl"):
        (tmp_path / label).mkdir()
        for i in range(3):
            (tmp_path / label / f"{i}.jpg").write_bytes(label.encode() if i else b"")
    found = evaluate(FakeClassifier(), find(tmp_path), ["photo", "a sketch of {}"])
    assert [e.template for e in found] == ["photo", "a sketch of {}"]
    assert all((e.model, e.images, e.classes, e.top1) == ("fake", 6, 3, 1.0) for e in found)
    assert [u.name for u in found[0].unreadable] == ["cat/0.jpg", "dog/0.jpg", "owl/0.jpg"]
    assert [e.template for e in evaluate(FakeClassifier(), find(tmp_path))] == ["plain"]
    assert [e.template for e in evaluate(FakeClassifier(), find(tmp_path), domain="pet")] == ["plain (pet)"]
