"""The page as a visitor meets it: headless Chromium against a real service with the embedded model."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.app.web.service import free_port, serving
from tests.app.web.visitor import WORDS, Visitor, visit

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


def test_changed_words_rank_again_without_sending_the_picture_again(
    visitor: Visitor, photographs: dict[str, bytes]
) -> None:
    visitor.type_words("dog", "motorcycle")
    visitor.drop(photographs["coffee cup"])
    before = visitor.ranked(count=2)
    visitor.type_words("coffee cup")
    assert visitor.ranked(count=3)[0] == "coffee cup"
    visitor.page.keyboard.press("Backspace")
    assert visitor.ranked(count=2) == before
    visitor.page.select_option("#template", "openai-7")
    visitor.ranked(count=2)
    assert len(visitor.posts("v1/embeddings/images")) == 1
    questions = [json.loads(r.post_data) for r in visitor.posts("v1/classify")]
    assert len(questions) >= 4
    assert all(q["embeddings"] and "images" not in q for q in questions)
    assert questions[-1]["template"] == "openai-7"


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


def test_the_copied_command_gives_the_page_s_answer(
    visitor: Visitor, photographs: dict[str, bytes], tmp_path: Path
) -> None:
    name = "Tom's cup; 1, 2.jpg"
    (tmp_path / name).write_bytes(photographs["coffee cup"])
    visitor.drop(photographs["coffee cup"], name)
    visitor.type_words("coffee cup", "dog's dinner", "@home")
    shown = visitor.ranked(count=3)
    command = visitor.page.locator("#curl").inner_text()
    answer = subprocess.run(["bash", "-c", f"{command} -sS"], cwd=tmp_path, capture_output=True, check=True)
    [result] = json.loads(answer.stdout)["results"]
    assert [ranked["label"] for ranked in result["ranking"]] == shown


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
    """Written only when asked for: a test run must not change the tree."""
    size = {"width": 1280, "height": 832}
    with visit(browser, url, viewport=size, device_scale_factor=1.5) as visitor:
        visitor.open()
        visitor.type_words("coffee cup", "dog", "horse", "fox", "motorcycle")
        visitor.drop(photographs["coffee cup"])
        assert visitor.ranked(count=5)[0] == "coffee cup"
        visitor.page.evaluate("document.activeElement.blur()")
        picture = visitor.page.screenshot()
    assert len(picture) > 10_000
    if os.environ.get("CANDID_UPDATE_SCREENSHOTS") == "1":
        SCREENSHOT.parent.mkdir(parents=True, exist_ok=True)
        SCREENSHOT.write_bytes(picture)
