"""The page as a visitor meets it: headless Chromium against a real service with the embedded model."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from models.pretrained.catalogue import find
from tests.app.web.service import free_port, serving
from tests.app.web.visitor import WORDS, Visitor, assert_accessible, visit

SCREENSHOT = Path(__file__).resolve().parents[3] / "docs" / "images" / "page.png"
CUPS_WORDS = ("coffee cup", "dog", "horse", "motorcycle", "airplane")


def test_a_dropped_photograph_gets_the_right_word_on_top(
    visitor: Visitor, photographs: dict[str, bytes]
) -> None:
    visitor.drop(photographs["coffee cup"])
    visitor.type_words(*CUPS_WORDS)
    assert visitor.ranked(count=5)[0] == "coffee cup"
    first = visitor.page.locator(".bars .first")
    probability = float(first.locator(".probability").inner_text().split()[-2])
    similarity = float(first.locator(".similarity").inner_text().split()[-1])
    assert 20 < probability <= 100 and -1 <= similarity <= 1
    assert visitor.page.locator("#says").inner_text().startswith("cup.jpg: coffee cup, ")
    assert "600 × 400" in visitor.page.locator(".card figcaption").inner_text()


def test_without_words_the_picture_is_tagged_by_those_of_the_service(
    visitor: Visitor, photographs: dict[str, bytes]
) -> None:
    visitor.drop(photographs["cat"], "cat.jpg")
    visitor.page.locator("#vocabulary").select_option("things")
    assert "cat" in visitor.ranked(count=8)[:3]
    assert {**visitor.asked(), "embeddings": None} == {
        "vocabulary": "things", "mode": "multi", "model": "embedded", "embeddings": None
    }  # fmt: skip
    visitor.type_words("dog", "cat")
    assert visitor.ranked(count=2)[0] == "cat"
    assert not visitor.page.locator("#vocabulary").is_visible()


def test_changed_words_rank_again_without_sending_the_picture_again(
    visitor: Visitor, photographs: dict[str, bytes]
) -> None:
    visitor.type_words("dog", "motorcycle")
    visitor.drop(photographs["coffee cup"])
    before, encoded = visitor.ranked(count=2), images_encoded(visitor)
    visitor.type_words("coffee cup")
    assert visitor.ranked(count=3)[0] == "coffee cup"
    visitor.page.keyboard.press("Backspace")
    assert visitor.ranked(count=2) == before
    visitor.page.select_option("#template", "openai-7")
    visitor.ranked(count=2)
    assert len(visitor.posts("v1/embeddings/images")) == 1
    assert images_encoded(visitor) == encoded
    questions = [json.loads(r.post_data) for r in visitor.posts("v1/classify")]
    assert len(questions) >= 4
    assert all(q["embeddings"] and "images" not in q for q in questions)
    assert questions[-1]["template"] == "openai-7"


def images_encoded(visitor: Visitor) -> float:
    """How many pictures have gone through the service's image tower."""
    with urlopen(f"{visitor.url}metrics") as answer:
        found = re.search(r"^candid_images_encoded_total\{.*\} (\S+)$", answer.read().decode(), re.MULTILINE)
    assert found
    return float(found[1])


def test_pasted_photographs_stand_beside_dropped_ones(
    visitor: Visitor, photographs: dict[str, bytes]
) -> None:
    visitor.paste(photographs["cat"])
    visitor.drop(photographs["coffee cup"])
    visitor.type_words(*WORDS)
    assert sorted(visitor.ranked(0, count=4)) == sorted(WORDS)
    assert visitor.ranked(1, count=4)[0] == "coffee cup"
    visitor.page.get_by_label("Remove image.png").click()
    assert visitor.page.locator(".card").count() == 1
    assert visitor.page.evaluate("document.activeElement.getAttribute('aria-label')") == "Remove cup.jpg"


def test_a_file_that_is_no_picture_is_told_in_words_and_the_others_are_ranked(
    browser: Any, url: str, photographs: dict[str, bytes]
) -> None:
    with visit(browser, url) as visitor:
        visitor.open()
        visitor.type_words(*WORDS)
        visitor.drop(b"Dear diary, this is not a picture.", "notes.jpg")
        visitor.drop(photographs["coffee cup"])
        problem = visitor.page.locator(".card").nth(0).locator(".problem")
        problem.wait_for()
        assert "not a picture that Candid can read. Choose a JPEG" in problem.inner_text()
        assert visitor.ranked(1, count=4)[0] == "coffee cup"


def test_a_late_answer_to_old_words_is_dropped(visitor: Visitor, photographs: dict[str, bytes]) -> None:
    held: list[Any] = []

    def hold_the_first(route: Any) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    visitor.drop(photographs["coffee cup"])
    visitor.page.locator(".status", has_text="Type a word").wait_for()
    visitor.page.route("**/v1/classify", hold_the_first)
    with visitor.page.expect_request("**/v1/classify"):
        visitor.type_words("airplane")
    visitor.type_words("coffee cup")
    assert visitor.ranked(count=2)[0] == "coffee cup"
    held[0].abort()
    assert visitor.ranked(count=2)[0] == "coffee cup"
    visitor.complaints.clear()  # of the aborted request


def test_chosen_photographs_stand_in_a_grid(
    visitor: Visitor, photographs: dict[str, bytes], tmp_path: Path
) -> None:
    files = []
    for name, data in photographs.items():
        files.append(tmp_path / f"{name}.jpg")
        files[-1].write_bytes(data)
    visitor.type_words("coffee cup", "motorcycle")
    visitor.choose("Choose pictures", *files)
    for card in range(len(files)):
        visitor.ranked(card, count=2)
    boxes = [card.bounding_box() for card in visitor.page.locator(".card").all()]
    assert len({box["y"] for box in boxes[:3]}) == 1 and len({box["x"] for box in boxes[:3]}) == 3
    assert visitor.page.locator(".card .name").all_text_contents() == [file.name for file in files]


def test_a_photograph_is_taken_with_the_machines_camera(visitor: Visitor) -> None:
    page = visitor.page
    page.context.grant_permissions(["camera"])
    visitor.type_words("clock", "dog")
    page.get_by_role("button", name="Take a photo").click()
    page.get_by_role("button", name="Take it").click()  # as soon as the camera shows something
    assert sorted(visitor.ranked(count=2)) == ["clock", "dog"]
    assert page.locator(".card .name").inner_text() == "photo-1.jpg"
    assert not page.locator("#viewfinder").is_visible()
    assert page.evaluate("document.querySelector('#viewfinder-video').srcObject") is None  # it is off


def test_a_camera_that_may_not_be_used_is_told_in_words(visitor: Visitor) -> None:
    visitor.page.get_by_role("button", name="Take a photo").click()
    visitor.page.get_by_text("does not let this page use the camera").wait_for()
    assert_accessible(visitor)
    visitor.page.keyboard.press("Escape")
    assert visitor.page.evaluate("document.activeElement.id") == "photograph"


def test_an_own_phrase_goes_around_the_words(visitor: Visitor, photographs: dict[str, bytes]) -> None:
    visitor.drop(photographs["coffee cup"])
    visitor.type_words("coffee cup", "airplane")
    before = visitor.similarities(count=2)
    visitor.page.select_option("#template", "own")
    visitor.page.get_by_label("Your phrase").fill("a pencil drawing of a {} and of")
    assert visitor.similarities(count=2) != before
    assert visitor.asked()["template"] == "a pencil drawing of a {} and of"
    visitor.page.get_by_label("Your phrase").fill("a drawing")
    visitor.page.get_by_text("Put {} where the word goes, once.").wait_for()


def test_the_small_model_says_that_it_is_small_and_how_to_load_a_larger_one(visitor: Visitor) -> None:
    model = visitor.page.locator("#model")
    said = model.locator("#model-note").inner_text()
    assert "the small model that ships with Candid" in said and "often wrong" in said
    command = model.locator("#model-larger code").inner_text()
    program, verb, option, spec = command.split()
    assert (program, verb, option) == ("candid", "serve", "--model")
    row = find(spec)
    assert row is not None and row.imagenet_top1 is not None


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"imagenet_top1": 82.5, "kind": "sigmoid"}, ["fine distinctions and rare words", "several may"]),
        ({"imagenet_top1": 63.3, "note": "The original CLIP."}, ["The original CLIP.", "often fail"]),
        ({"imagenet_top1": None}, ["candid evaluate"]),
    ],
)
def test_another_model_says_what_it_is_good_for(
    browser: Any, url: str, facts: dict[str, Any], said: list[str]
) -> None:
    def another(route: Any) -> None:
        body = route.fetch().json()
        body["data"][0] |= {"id": "another", **facts}
        route.fulfill(json=body)

    with visit(browser, url) as visitor:
        visitor.page.route("**/v1/models", another)
        visitor.open()
        note = visitor.page.locator("#model-note").inner_text()
        assert [part for part in said if part not in note] == []
        assert not visitor.page.locator("#model-larger").is_visible()


def test_with_two_models_the_picture_is_shown_to_the_chosen_one(
    browser: Any, classifier: Any, photographs: dict[str, bytes]
) -> None:
    both = {"embedded": classifier, "second": classifier}
    with serving(both, free_port()) as url, visit(browser, url) as visitor:
        visitor.open()
        visitor.drop(photographs["coffee cup"])
        visitor.type_words("coffee cup", "airplane")
        visitor.ranked(count=2)
        with visitor.page.expect_response("**/v1/classify") as asked:
            visitor.page.select_option("#model-choice", "second")
        assert asked.value.request.post_data_json["model"] == "second"
        assert visitor.ranked(count=2)[0] == "coffee cup"
        assert len(visitor.posts("v1/embeddings/images")) == 2


def test_the_picture_of_the_readme(browser: Any, url: str, photographs: dict[str, bytes]) -> None:
    """Written only when asked for (`make docs`): a test run must not change the tree."""
    size = {"width": 1280, "height": 832}
    with visit(browser, url, viewport=size, device_scale_factor=1.5) as visitor:
        visitor.open()
        visitor.type_words("coffee cup", "dog", "horse", "fox", "motorcycle")
        visitor.drop(photographs["coffee cup"])
        assert visitor.ranked(count=5)[0] == "coffee cup"
        visitor.page.evaluate("document.activeElement.blur()")
        picture = visitor.page.screenshot()
    assert len(picture) > 10_000
    if os.environ.get("UPDATE_DOCS"):
        SCREENSHOT.parent.mkdir(parents=True, exist_ok=True)
        SCREENSHOT.write_bytes(picture)
