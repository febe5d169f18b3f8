"""What goes wrong is told in words that say what to do, and passes when its cause does."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.app.web.service import free_port, serving
from tests.app.web.visitor import WORDS, Visitor, assert_accessible, visit

GOOD_KEY = "correct-horse-battery"


def test_a_busy_service_is_asked_again(visitor: Visitor, photographs: dict[str, bytes]) -> None:
    turns: list[Any] = []

    def busy_at_first(route: Any) -> None:
        turns.append(route)
        body = {"error": {"code": "overloaded", "message": "every slot is taken"}}
        if len(turns) > 1:
            route.continue_()
        else:
            route.fulfill(status=503, headers={"retry-after": "0"}, json=body)

    visitor.page.route("**/v1/embeddings/images", busy_at_first)
    visitor.type_words("coffee cup", "airplane")
    visitor.drop(photographs["coffee cup"])
    assert visitor.ranked(count=2)[0] == "coffee cup"
    assert len(turns) == 2
    visitor.complaints.clear()  # of the 503


def test_a_picture_that_breaks_the_connection_is_not_sent_for_ever(
    visitor: Visitor, photographs: dict[str, bytes]
) -> None:
    visitor.page.route("**/v1/embeddings/images", lambda route: route.abort())
    visitor.type_words("coffee cup", "airplane")
    visitor.drop(photographs["coffee cup"])
    visitor.page.get_by_role("button", name="Try now").click()  # the service is there
    problem = visitor.page.locator(".card .problem")
    problem.wait_for()
    assert "The connection broke while this picture was sent." in problem.inner_text()
    visitor.page.unroute("**/v1/embeddings/images")
    visitor.page.get_by_role("button", name="Try again").click()
    assert visitor.ranked(count=2)[0] == "coffee cup"
    visitor.complaints.clear()  # of the aborted requests


def test_words_beyond_the_limits_are_named(
    browser: Any, classifier: Any, photographs: dict[str, bytes]
) -> None:
    limits = {"max_labels": 3, "max_label_chars": 12}
    with (
        serving({"embedded": classifier}, free_port(), **limits) as url,
        visit(browser, url) as visitor,
    ):
        visitor.open()
        visitor.drop(photographs["cat"])
        visitor.type_words("cat", "a word of some length")
        visitor.page.get_by_text("Word 2 is too long: this service takes 12 characters.").wait_for()
        visitor.page.keyboard.press("Backspace")
        visitor.ranked(count=1)
        visitor.paste_text("dog, fox, owl")
        visitor.page.get_by_text("too many words: this service takes 3 at once.").wait_for()


def test_without_a_place_for_label_sets_the_rest_goes_on(
    browser: Any, classifier: Any, photographs: dict[str, bytes], tmp_path: Path
) -> None:
    nowhere = f"sqlite:///{tmp_path}/missing/sets.db"
    with (
        serving({"embedded": classifier}, free_port(), database_url=nowhere, docs=False) as url,
        visit(browser, url) as visitor,
    ):
        (tmp_path / "missing").write_text("a file where the folder should be")
        visitor.open()
        visitor.page.get_by_text("Label sets cannot be kept or read just now").wait_for()
        assert not visitor.page.locator("#docs-link").is_visible()
        visitor.drop(photographs["coffee cup"])
        visitor.type_words("horse")
        visitor.page.get_by_label("Allow “none of these”").check()
        visitor.page.get_by_text("None of these:").wait_for()


def test_the_key_is_asked_for_refused_and_kept_in_the_tab(
    browser: Any, classifier: Any, photographs: dict[str, bytes]
) -> None:
    port = free_port()
    with serving({"embedded": classifier}, port, api_keys=(GOOD_KEY,)) as url, visit(browser, url) as visitor:
        page = visitor.page
        page.goto(url)
        page.get_by_label("This service asks for an API key.").fill("wrong-key")
        page.keyboard.press("Enter")
        refused = page.get_by_label("The service refused this key. Check it and try again.")
        refused.fill(GOOD_KEY)
        assert_accessible(visitor)
        page.keyboard.press("Enter")
        page.wait_for_selector("#model-facts div", state="attached")
        visitor.drop(photographs["coffee cup"])
        visitor.type_words(*WORDS)
        assert visitor.ranked(count=4)[0] == "coffee cup"
        assert GOOD_KEY not in page.content()
        assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]


def test_the_service_goes_away_and_comes_back(
    browser: Any, classifier: Any, photographs: dict[str, bytes]
) -> None:
    port = free_port()
    with ExitStack() as first, visit(browser, f"http://127.0.0.1:{port}/") as visitor:
        first.enter_context(serving({"embedded": classifier}, port))
        visitor.open()
        visitor.drop(photographs["coffee cup"])
        visitor.type_words("dog", "airplane")
        visitor.ranked(count=2)
        first.close()
        visitor.type_words("coffee cup")
        banner = visitor.page.locator("#outage")
        banner.wait_for()
        assert "Candid does not answer. Your pictures and words are still here." in banner.inner_text()
        visitor.drop(photographs["cat"], "other.jpg")
        assert_accessible(visitor)
        with serving({"embedded": classifier}, port):
            visitor.page.get_by_role("button", name="Try now").click()
            banner.wait_for(state="hidden")
            assert visitor.ranked(0, count=3)[0] == "coffee cup"
            visitor.ranked(1, count=3)
            assert len(visitor.posts("v1/embeddings/images")) >= 2
