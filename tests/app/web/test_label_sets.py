"""Label sets on the page: saved, edited, chosen, given an example. Against a real service that keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.app.web.service import free_port, serving
from tests.app.web.visitor import Visitor, assert_accessible, visit

ASKED = "**/v1/classify"


@pytest.fixture
def visitor(browser: Any, classifier: Any) -> Iterator[Visitor]:
    with serving({"embedded": classifier}, free_port()) as url, visit(browser, url) as arrived:
        arrived.open()
        yield arrived
        assert arrived.complaints == []


def test_a_set_is_saved_edited_and_chosen_again(visitor: Visitor, photographs: dict[str, bytes]) -> None:
    page = visitor.page
    visitor.drop(photographs["coffee cup"])
    visitor.type_words("coffee cup", "motorcycle")
    page.select_option("#template", "photo")
    save_as(visitor, "My Pets!", "my-pets")
    page.get_by_role("button", name="Save changes").wait_for(state="hidden")
    assert labels(visitor, "my-pets") == ["coffee cup", "motorcycle"]
    visitor.type_words("dog")
    page.get_by_role("button", name="Save changes").click()
    page.get_by_text("Saved “my-pets”.").wait_for()
    assert labels(visitor, "my-pets") == ["coffee cup", "motorcycle", "dog"]
    page.get_by_role("button", name="Clear the words").click()
    page.select_option("#set-choice", "none")
    page.select_option("#set-choice", "my-pets")
    assert visitor.ranked(count=3)[0] == "coffee cup"
    asked = json.loads(visitor.posts("v1/classify")[-1].post_data)
    assert asked["label_set"] == "my-pets" and "labels" not in asked


def test_a_picture_becomes_an_example_and_is_taken_back(
    visitor: Visitor, photographs: dict[str, bytes]
) -> None:
    page = visitor.page
    visitor.drop(photographs["coffee cup"])
    visitor.type_words("quux", "motorcycle")
    visitor.ranked(count=2)
    page.get_by_role("button", name="Use as an example of…").click()
    page.get_by_text("give these words a name first").wait_for()
    with page.expect_response(ASKED) as before:
        name_it(visitor, "odd", "odd")
    visitor.ranked(count=2)
    page.get_by_label("Word that cup.jpg is an example of").select_option("quux")
    with page.expect_response(ASKED) as after:
        page.get_by_role("button", name="Add", exact=True).press("Enter")
    page.get_by_text("Added to quux.").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Add"
    assert_accessible(visitor)
    assert probability_of("quux", after.value) > probability_of("quux", before.value)
    with page.expect_response(ASKED) as again:
        page.get_by_label("Undo: cup.jpg as an example").click()
    page.get_by_text("Taken back.").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Add"  # not lost with the button
    assert probability_of("quux", again.value) == probability_of("quux", before.value)
    assert len(visitor.posts("v1/embeddings/images")) == 1


def test_examples_wait_for_changes_to_be_saved(visitor: Visitor, photographs: dict[str, bytes]) -> None:
    page = visitor.page
    visitor.drop(photographs["coffee cup"])
    visitor.type_words("cup", "dog")
    save_as(visitor, "pets", "pets")
    visitor.type_words("horse")
    page.get_by_role("button", name="Use as an example of…").click()
    page.get_by_text("Save the changes first").wait_for()
    page.keyboard.press("Enter")  # the focus is on "Save changes"
    page.get_by_text("Saved “pets”.").wait_for()
    assert page.get_by_label("Word that cup.jpg is an example of").is_visible()


def test_a_set_is_deleted_when_that_is_meant(visitor: Visitor) -> None:
    page = visitor.page
    visitor.type_words("cat", "dog")
    save_as(visitor, "pets", "pets")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Delete").click()
    assert labels(visitor, "pets") == ["cat", "dog"]
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("Deleted “pets”. Its words are still here.").wait_for()
    assert visitor.words() == ["cat", "dog"]
    assert answer(Request(f"{visitor.url}v1/label-sets"))["data"] == []
    assert page.locator("#set-choice option").all_text_contents() == ["none"]


def test_a_name_that_is_taken_is_not_overwritten(visitor: Visitor) -> None:
    page = visitor.page
    visitor.type_words("cat", "dog")
    save_as(visitor, "pets", "pets")
    visitor.type_words("horse")
    page.get_by_role("button", name="Save as…").click()
    page.get_by_label("Name of the set").fill("pets")
    page.keyboard.press("Enter")
    page.get_by_text("There is a set “pets” already.").wait_for()
    assert labels(visitor, "pets") == ["cat", "dog"]
    name_it(visitor, "more pets", "more-pets")
    assert labels(visitor, "more-pets") == ["cat", "dog", "horse"]
    visitor.complaints.clear()  # of the 412


def test_none_of_these_is_said_where_the_service_says_so(
    visitor: Visitor, photographs: dict[str, bytes]
) -> None:
    visitor.drop(photographs["coffee cup"])
    visitor.type_words("motorcycle", "airplane")
    visitor.ranked(count=2)
    with visitor.page.expect_response(ASKED) as asked:
        visitor.page.get_by_label("Allow “none of these”").check()
    assert asked.value.request.post_data_json["reject"] is True
    rejected = asked.value.json()["results"][0]["rejection"]["rejected"]
    visitor.ranked(count=2) if not rejected else visitor.page.locator(".verdict").wait_for()
    assert visitor.page.get_by_text("None of these:").is_visible() is rejected


def test_a_set_that_was_changed_elsewhere_is_not_overwritten(visitor: Visitor) -> None:
    page = visitor.page
    visitor.type_words("coffee cup", "dog")
    save_as(visitor, "pets", "pets")
    change = Request(f"{visitor.url}v1/label-sets/pets", b'{"labels": ["fox"]}', method="PUT")
    change.add_header("Content-Type", "application/json")
    answer(change)
    visitor.type_words("horse")
    page.get_by_role("button", name="Save changes").click()
    page.get_by_text("has been saved meanwhile").wait_for()
    assert labels(visitor, "pets") == ["fox"]
    visitor.complaints.clear()  # of the 412


def probability_of(word: str, response: Any) -> float:
    [result] = response.json()["results"]
    return next(float(each["probability"]) for each in result["ranking"] if each["label"] == word)


def save_as(visitor: Visitor, name: str, plain: str) -> None:
    visitor.page.get_by_role("button", name="Save as…").click()
    name_it(visitor, name, plain)


def name_it(visitor: Visitor, name: str, plain: str) -> None:
    visitor.page.get_by_label("Name of the set").fill(name)
    visitor.page.keyboard.press("Enter")
    visitor.page.get_by_text(f"Saved “{plain}”.").wait_for()


def labels(visitor: Visitor, name: str) -> list[str]:
    kept = answer(Request(f"{visitor.url}v1/label-sets/{name}"))
    return [label["label"] for label in kept["labels"]]


def answer(request: Request) -> Any:
    with urlopen(request) as response:
        return json.load(response)
