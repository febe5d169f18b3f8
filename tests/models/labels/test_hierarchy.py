"""models/labels/hierarchy.py: sums, ranks and where an answer stops."""

from __future__ import annotations

import pytest

from models.errors import InvalidRequest
from models.labels.hierarchy import is_path, join, names, parse, roll_up

PICTURE = {
    "animal > dog > beagle": 0.30,
    "animal >  dog > pug": 0.25,
    "animal > cat": 0.15,
    "vehicle > car": 0.20,
    "vehicle > bus": 0.10,
}


def test_a_path_has_one_spelling() -> None:
    assert parse(" animal > dog  >  beagle ") == ("animal", "dog", "beagle")
    assert join(parse("animal  > dog")) == "animal > dog"
    assert parse("dog") == ("dog",)


def test_arrows_and_comparisons_are_no_paths() -> None:
    for label in ("a->b", "x>5", "> 5 years"):
        assert not is_path(label) and parse(label) == (label,)
    assert parse("weight > x>5") == ("weight", "x>5")


@pytest.mark.parametrize("label", ["", " ", "a > ", " > a", "a > > b", "a >  > b"])
def test_an_empty_name_is_refused(label: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(label)
    assert caught.value.field == "labels"


def test_probabilities_add_up_the_tree_and_each_level_is_ranked() -> None:
    levels = roll_up(PICTURE).levels
    assert [(node.label, pytest.approx(node.probability)) for node in levels[0]] == [
        ("animal", 0.7),
        ("vehicle", 0.3),
    ]
    assert [node.label for node in levels[1]] == [
        "animal > dog",
        "vehicle > car",
        "animal > cat",
        "vehicle > bus",
    ]
    assert levels[1][0].probability == pytest.approx(0.55)
    assert [node.label for node in levels[2]] == ["animal > dog > beagle", "animal > dog > pug"]


@pytest.mark.parametrize(
    ("sure", "answer"),
    [(0.3, "animal > dog > beagle"), (0.5, "animal > dog"), (0.6, "animal"), (0.75, None)],
)
def test_the_answer_stops_at_the_deepest_sure_level(sure: float, answer: str | None) -> None:
    found = roll_up(PICTURE, sure=sure).sure
    assert (found.label if found else None) == answer


def test_the_answer_never_leaves_its_own_branch() -> None:
    found = roll_up({"a > x": 0.3, "a > y": 0.3, "b > z": 0.4}, sure=0.35).sure
    assert found is not None and found.label == "a"


def test_a_label_may_be_a_node_of_another() -> None:
    outcome = roll_up({"animal": 0.4, "animal > dog": 0.3, "plant": 0.3})
    assert outcome.levels[0][0].probability == pytest.approx(0.7)
    assert outcome.sure is not None and outcome.sure.path == ("animal",)


def test_no_labels_no_answer() -> None:
    assert roll_up({}).levels == ()
    assert roll_up({}).sure is None


def test_the_classifier_reads_the_last_name_and_the_parent_where_that_is_ambiguous() -> None:
    assert names(["animal > bat", "sport > Bat", "sport > ball", "plain"]) == [
        "bat (animal)",
        "Bat (sport)",
        "ball",
        "plain",
    ]
