"""Everybody can use the page: with a keyboard alone, with a screen reader, on a phone, in the dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.app.web.visitor import WORDS, Visitor, assert_accessible, visit

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {**PHONE, "color_scheme": "light"},
    "phone-dark": {**PHONE, "color_scheme": "dark"},
}


def test_everything_is_reached_with_the_tab_key(visitor: Visitor, photographs: dict[str, bytes]) -> None:
    visitor.drop(photographs["coffee cup"])
    visitor.type_words(*WORDS)
    visitor.ranked(count=4)
    page = visitor.page
    page.evaluate("document.activeElement.blur(); document.querySelector('.brand').focus()")
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.ariaLabel"))
    expected = {
        "model-link",
        "docs-link",
        "word",
        "clear-words",
        "template",
        "Remove airplane",
        "Remove cup.jpg",
    }
    expected |= {"set-choice", "set-save-as", "reject", "choose", "photograph"}
    assert expected | {"curl-copy", "curl", "larger-copy"} <= reached
    page.get_by_label("Remove cup.jpg").focus()
    page.keyboard.press("Enter")
    assert page.locator(".card").count() == 0
    assert page.evaluate("document.activeElement.id") == "choose"


def test_words_are_typed_split_and_taken_away_with_the_keyboard(visitor: Visitor) -> None:
    page = visitor.page
    visitor.type_words("cat", "cat")
    page.keyboard.type("  red   bicycle ,dog,")
    assert visitor.words() == ["cat", "red bicycle", "dog"]
    visitor.paste_text("fox\nbear; owl, cat\t<b>wolf</b>\n")
    assert visitor.words()[3:] == ["fox", "bear", "owl", "<b>wolf</b>"]
    page.keyboard.press("Backspace")
    page.keyboard.press("ArrowLeft")  # on to the last word, then one further
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Delete")
    assert visitor.words() == ["cat", "red bicycle", "dog", "fox", "owl"]
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "word"
    page.reload()
    page.wait_for_selector("#model-facts div", state="attached")
    assert visitor.words() == ["cat", "red bicycle", "dog", "fox", "owl"]


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_stands_in_the_way_of_anyone(
    browser: Any, url: str, photographs: dict[str, bytes], look: str
) -> None:
    with visit(browser, url, **LOOKS[look]) as visitor:
        visitor.open()
        assert_accessible(visitor)
        visitor.type_words(*WORDS)
        visitor.drop(b"", "empty.jpg")
        visitor.drop(photographs["cat"], "a-photograph-with-a-name-that-is-far-too-long-for-a-phone.jpg")
        visitor.ranked(1, count=4)
        visitor.page.select_option("#template", "own")
        assert_accessible(visitor)
        assert visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert visitor.page.evaluate("document.getAnimations().length") == 0  # reduced motion is asked for


def test_a_phone_photographs_and_gets_the_ranking(
    browser: Any, url: str, photographs: dict[str, bytes], tmp_path: Path
) -> None:
    photo = tmp_path / "image.jpg"
    photo.write_bytes(photographs["coffee cup"])
    with visit(browser, url, **PHONE) as visitor:
        visitor.open()
        visitor.page.get_by_role("button", name="animals").tap()
        visitor.type_words("coffee cup")
        assert visitor.page.locator("#camera").get_attribute("capture") == "environment"
        visitor.choose("Take a photo", photo)
        assert visitor.ranked(count=6)[0] == "coffee cup"
        visitor.choose("Choose pictures", photo)
        visitor.ranked(1, count=6)
        one, other = (card.bounding_box() for card in visitor.page.locator(".card").all())
        assert one["x"] == other["x"] and other["y"] > one["y"]  # one below the other
