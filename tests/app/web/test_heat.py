"""Pointing at a word shows where in the picture it is: by mouse, by keyboard, and in words."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from tests.app.web.visitor import Visitor, assert_accessible, visit

# Where the map lies within its picture, and how warm its left and its right half are at the warmest.
SEEN = """() => {
  const map = document.querySelector(".heat"), image = document.querySelector(".pane img");
  const at = map.getBoundingClientRect(), of = image.getBoundingClientRect();
  const scale = Math.min(of.width / image.naturalWidth, of.height / image.naturalHeight);
  const left = of.left + (of.width - image.naturalWidth * scale) / 2;
  const top = of.top + (of.height - image.naturalHeight * scale) / 2;
  const copy = new OffscreenCanvas(map.width, map.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(map, 0, 0);
  const { data, width, height } = copy.getImageData(0, 0, map.width, map.height);
  const reds = [0, 0];
  for (let i = 0; i < width * height; i++) {
    const half = Number(i % width >= width / 2);
    reds[half] = Math.max(reds[half], data[4 * i] + data[4 * i + 1]);
  }
  return [(at.left - left) / scale, (at.top - top) / scale, at.width / scale, at.height / scale, ...reds];
}"""


@pytest.fixture(scope="module")
def pair(photographs: dict[str, bytes]) -> bytes:
    """600 × 300: of the middle, which the model is shown, a cat has the left half, a cup the right one."""
    sheet = Image.new("RGB", (600, 300), "white")
    for at, name in enumerate(("cat", "coffee cup")):
        half = Image.open(io.BytesIO(photographs[name])).convert("RGB").resize((150, 300))
        sheet.paste(half, (150 + 150 * at, 0))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_a_word_that_is_pointed_at_is_shown_in_the_picture(visitor: Visitor, pair: bytes) -> None:
    page = visitor.page
    visitor.type_words("cat", "coffee cup", "airplane, an old one")
    visitor.drop(pair)
    visitor.ranked(count=4)
    heat = page.locator(".heat")
    assert not heat.is_visible()

    page.locator(".bars li", has_text="coffee cup").hover()
    heat.wait_for()
    *box, left, right = page.evaluate(SEEN)
    assert box == pytest.approx([150, 0, 300, 300], abs=2)
    assert right > left
    assert page.locator(".heat-note").inner_text().startswith("“coffee cup” is strongest ")
    assert_accessible(visitor)

    page.mouse.move(1, 1)
    heat.wait_for(state="hidden")
    page.get_by_role("button", name="cat", exact=True).focus()
    heat.wait_for()
    *_, left, right = page.evaluate(SEEN)
    assert left > right
    page.keyboard.press("Tab")  # to the next word
    page.locator(".heat-note", has_text="strongest").wait_for()
    sent = [request.headers["content-type"] for request in visitor.posts("v1/classify")]
    assert sum(kind.startswith("multipart/") for kind in sent) == 1, "once for all words"


def test_a_map_follows_its_picture_and_other_words_ask_anew(visitor: Visitor, pair: bytes) -> None:
    page = visitor.page
    visitor.type_words("cat", "coffee cup")
    visitor.drop(pair)
    visitor.ranked(count=2)
    page.get_by_role("button", name="cat", exact=True).focus()
    page.locator(".heat").wait_for()
    page.set_viewport_size({"width": 500, "height": 800})
    page.wait_for_function(
        f"() => ({SEEN})().slice(0, 4).every((n, i) => Math.abs(n - [150, 0, 300, 300][i]) < 3)"
    )
    visitor.type_words("dog")
    visitor.ranked(count=3)
    page.get_by_role("button", name="dog", exact=True).focus()
    page.locator(".heat-note", has_text="“dog” is strongest").wait_for()


def test_of_a_model_that_cannot_explain_no_word_is_a_button_to_press(
    browser: Any, url: str, pair: bytes
) -> None:
    def another(route: Any) -> None:
        body = route.fetch().json()
        body["data"][0]["explain"] = None
        route.fulfill(json=body)

    with visit(browser, url) as visitor:
        visitor.page.route("**/v1/models", another)
        visitor.open()
        visitor.type_words("cat", "coffee cup")
        visitor.drop(pair)
        visitor.ranked(count=2)
        assert visitor.page.get_by_role("button", name="cat", exact=True).is_disabled()
        assert "Point at a word" not in visitor.page.locator("#legend").inner_text()
        assert_accessible(visitor)


@pytest.mark.parametrize(
    ("place", "said"),
    [((0, 0), "at the top left"), ((2, 4), "in the middle"), ((5, 8), "at the bottom right")],
)
def test_the_strongest_place_is_told_in_words(
    visitor: Visitor, pair: bytes, place: tuple[int, int], said: str
) -> None:
    grid = [[float((row, column) == place) for column in range(9)] for row in range(6)]
    found = {"box": [0, 0, 600, 300], "labels": [{"label": "cat", "relevance": grid}]}
    visitor.type_words("cat")
    visitor.drop(pair)
    visitor.ranked(count=1)
    answer = {"results": [{"explanation": found}]}
    visitor.page.route("**/v1/classify", lambda route: route.fulfill(json=answer))
    visitor.page.get_by_role("button", name="cat", exact=True).focus()
    visitor.page.locator(".heat-note", has_text=f"“cat” is strongest {said}.").wait_for()


def test_what_goes_wrong_is_told_in_words(visitor: Visitor, pair: bytes) -> None:
    visitor.type_words("cat", "coffee cup")
    visitor.drop(pair)
    visitor.ranked(count=2)
    error = {"code": "deadline_exceeded", "message": "late"}
    visitor.page.route("**/v1/classify", lambda route: route.fulfill(status=504, json={"error": error}))
    visitor.page.get_by_role("button", name="cat", exact=True).focus()
    visitor.page.locator(".heat-note", has_text="took too long").wait_for()
    visitor.complaints.clear()  # of the 504
