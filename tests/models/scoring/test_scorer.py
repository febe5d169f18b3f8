"""models/scoring/scorer.py: plain labels give the plain ranking; every other part does its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.labels.label_matrix import LabelMatrix
from models.labels.label_set import Label, LabelSet
from models.scoring import few_shot, multi_label, out_of_set
from models.scoring.ranking import rank, softmax
from models.scoring.scorer import Fitted, answer, idle, logits, needs_bank, scorer, teach

SCALE = 50.0
NAMES = ("cat", "dog", "rocket", "coffee cup")


def unit(rng, *shape: int):
    rows = rng.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def matrix(rng) -> LabelMatrix:
    return LabelMatrix(NAMES, unit(rng, 4, 16))


def labels(**options) -> LabelSet:
    return LabelSet(tuple(map(Label, NAMES)), **options)


def test_plain_labels_are_ranked_as_rank_does_to_the_last_bit(rng, matrix: LabelMatrix) -> None:
    vector = unit(rng, 16)
    made = scorer(labels(), matrix, logit_scale=SCALE)
    ours, theirs = answer(made, vector).ranking, rank(vector, matrix, logit_scale=SCALE)
    assert [(p.label, p.similarity) for p in ours] == [(p.label, p.similarity) for p in theirs]
    assert [p.probability for p in ours] == pytest.approx([p.probability for p in theirs], rel=1e-5)
    assert len(answer(made, vector, top_k=2).ranking) == 2


def test_a_temperature_changes_how_sure_and_nothing_else(rng, matrix: LabelMatrix) -> None:
    vector = unit(rng, 16)
    plain = answer(scorer(labels(), matrix, logit_scale=SCALE), vector).ranking
    cooler = answer(
        scorer(labels(), matrix, logit_scale=SCALE, fitted=Fitted(temperature=4.0)), vector
    ).ranking
    assert [p.label for p in plain] == [p.label for p in cooler]
    assert cooler[0].probability < plain[0].probability
    assert sum(p.probability for p in cooler) == pytest.approx(1)


def test_examples_add_logits_and_are_as_sure_as_words(rng, matrix: LabelMatrix) -> None:
    keys, vectors = unit(rng, 8, 16), unit(rng, 3, 16)
    taught = replace(teach(keys, NAMES * 2, matrix, logit_scale=SCALE), temperature=2.0)
    made = scorer(labels(), matrix, logit_scale=SCALE, taught=taught, fitted=Fitted(temperature=1.5))
    expected = (SCALE * vectors @ matrix.vectors.T + few_shot.added(taught, vectors)) / 2.0
    np.testing.assert_allclose(logits(made, vectors), expected, rtol=1e-4)
    found = {place.label: place.probability for place in answer(made, vectors[0]).ranking}
    assert [found[name] for name in NAMES] == pytest.approx(softmax(expected[0] / 1.5).tolist(), rel=1e-4)


def test_in_mode_multi_thresholds_are_the_labels_or_the_sets(rng, matrix: LabelMatrix) -> None:
    own = (Label("cat", threshold=0.0), *map(Label, NAMES[1:]))
    label_set = LabelSet(own, mode="multi", threshold=1.0)
    vector, bank = unit(rng, 16), unit(rng, 50, 16)
    found = answer(scorer(label_set, matrix, logit_scale=SCALE, bank=bank), vector).ranking
    assert {place.label for place in found if place.holds} == {"cat"}
    z = multi_label.normalised(matrix.vectors @ vector, bank @ vector)
    expected = 1 / (1 + np.exp(-(multi_label.DEFAULT.slope * z + multi_label.DEFAULT.offset)))
    by_label = {place.label: place.probability for place in found}
    assert [by_label[name] for name in NAMES] == pytest.approx(expected.tolist(), rel=1e-4)


def test_a_sigmoid_model_needs_no_bank_for_it(rng, matrix: LabelMatrix) -> None:
    label_set, vector = labels(mode="multi"), unit(rng, 16)
    assert not needs_bank(label_set, kind="sigmoid") and needs_bank(label_set, kind="softmax")
    found = answer(scorer(label_set, matrix, logit_scale=SCALE, logit_bias=-5.0), vector).ranking
    best = found[0]
    assert best.probability == pytest.approx(1 / (1 + np.exp(-(SCALE * best.similarity - 5.0))), rel=1e-4)


def test_rejection_goes_by_the_words(rng, matrix: LabelMatrix) -> None:
    vector, bank = unit(rng, 16), unit(rng, 60, 16)
    label_set = labels(reject=True)
    found = answer(scorer(label_set, matrix, logit_scale=SCALE, bank=bank), vector).rejection
    nouns = bank[out_of_set.unrelated(matrix.vectors, bank)]
    expected = out_of_set.score(matrix.vectors @ vector, nouns @ vector, logit_scale=SCALE)
    assert found is not None and found.score == pytest.approx(float(expected))
    assert found.rejected == (found.score < out_of_set.THRESHOLD)
    assert answer(scorer(labels(), matrix, logit_scale=SCALE), vector).rejection is None


class Watched(np.ndarray):
    """Rows that are to be compared with a picture once, and never by a product that wakes other threads."""

    compared = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        assert ufunc is not np.matmul, "a product with a whole matrix wakes the threads of BLAS"
        for rows in inputs:
            if isinstance(rows, Watched) and ufunc is np.vecdot:
                rows.compared += 1
        plain = [np.asarray(rows) for rows in inputs]
        return getattr(ufunc, method)(*plain, **options)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_an_answer_reads_each_matrix_once_and_wakes_no_threads(rng, mode: str) -> None:
    words, bank, keys = (unit(rng, rows, 16).view(Watched) for rows in (4, 60, 4))
    matrix = LabelMatrix(NAMES, words)
    taught = few_shot.Taught(keys, np.zeros(4))
    made = scorer(labels(mode=mode, reject=True), matrix, logit_scale=SCALE, bank=bank, taught=taught)
    bank.compared = 0
    found = answer(made, unit(rng, 16))
    assert found.rejection is not None
    assert (words.compared, bank.compared, keys.compared) == (1, 1, 1)


def test_a_tree_adds_up(rng) -> None:
    names = ("animal > cat", "animal > dog", "rocket")
    matrix = LabelMatrix(names, unit(rng, 3, 16))
    label_set = LabelSet(tuple(map(Label, names)))
    found = answer(scorer(label_set, matrix, logit_scale=SCALE), unit(rng, 16))
    assert found.tree is not None
    assert sum(node.probability for node in found.tree.levels[0]) == pytest.approx(1)


def test_a_threshold_that_is_given_in_vain_is_told() -> None:
    assert idle(labels(threshold=0.3)) == ("threshold is for mode multi: it has no effect here",)
    assert idle(labels(reject_threshold=0.3)) == (
        "reject_threshold is for reject=true: it has no effect here",
    )
    assert idle(LabelSet((Label("cat", threshold=0.3), Label("dog")))) != ()
    assert idle(labels(threshold=0.3, mode="multi", reject=True, reject_threshold=0.3)) == ()
    # What a stored set has for another mode is no mistake of the request's.
    assert idle(labels(threshold=0.3), given={"template"}) == ()
