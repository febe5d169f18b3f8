"""models/labels/label_set.py: what the text tower reads for a label, and the rows that come of it."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import InvalidRequest
from models.labels.label_set import Label, LabelSet, check, plain, templates_for, texts_of
from models.labels.zero_shot import mean_rows


def texts(*labels: Label, templates: tuple[str, ...] = ("a {}",)):
    return texts_of(LabelSet(labels), templates)


def test_names_and_aliases_go_into_every_template_and_descriptions_follow_the_name() -> None:
    label = Label("cat", aliases=("kitten",), descriptions=("furry",))
    assert texts(label, templates=("a {}", "the {}")) == [
        ("a cat", "the cat", "a kitten", "the kitten", "a cat, furry", "the cat, furry")
    ]


def test_own_prompts_stand_in_place_of_all_that() -> None:
    assert texts(Label("cat", aliases=("kitten",), prompts=("a tabby", "my {}"))) == [("a tabby", "my cat")]


def test_a_text_is_read_once() -> None:
    assert texts(Label("cat", aliases=("cat", "kitten"))) == [("a cat", "a kitten")]


def test_of_a_path_the_last_name_is_read_with_its_parent_where_that_is_ambiguous() -> None:
    found = texts(Label("animal > bat"), Label("sport > bat"), Label("sport > ball"))
    assert found == [("a bat (animal)",), ("a bat (sport)",), ("a ball",)]


def test_arrows_and_comparisons_are_plain_labels() -> None:
    label_set = LabelSet((Label("a->b"), Label("x>5")))
    assert label_set.is_plain and not label_set.is_tree
    assert not LabelSet((Label("a > b"),)).is_plain


def test_of_plain_names_one_with_an_arrow_is_read_as_it_stands() -> None:
    label_set = plain(["a > b", "c"], ["a {}"])
    check(label_set)
    assert label_set.is_plain and not label_set.is_tree
    assert texts_of(label_set, label_set.templates) == [("a a > b",), ("a c",)]


def test_the_domain_goes_into_every_template() -> None:
    label_set = LabelSet((Label("olive"),), templates=("a photo of a {}.", "plain"), domain="food")
    assert templates_for(label_set, "photo") == ("a photo of a food: a {}.", "food: {}")
    assert templates_for(LabelSet((Label("olive"),)), "photo") == ("a photo of a {}.",)


def test_rows_are_means_brought_to_unit_norm() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(6, 4)).astype(np.float32)
    found = mean_rows(rows, np.array([1, 3, 2]))
    for row, part in zip(found, (rows[:1], rows[1:4], rows[4:]), strict=True):
        mean = part.mean(axis=0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), rtol=1e-5)


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        ((), "labels"),
        ((Label("cat"), Label("cat")), "labels[1]"),
        ((Label(" "),), "labels[0]"),
        ((Label("cat", aliases=("",)),), "labels[0].aliases"),
        ((Label("cat", prompts=("{} {}",)),), "labels[0].prompts"),
        ((Label("a > "), Label("b > c")), "labels"),
        ((Label("a > b"), Label("a >  b")), "labels[1]"),
    ],
)
def test_what_makes_no_classifier_is_named(labels: tuple[Label, ...], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check(LabelSet(labels))
    assert caught.value.field == field
