"""models/evaluation/report.py: one page that holds everything, loads nothing and trusts no name."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from models.evaluation.dataset import Item
from models.evaluation.embed_dataset import Unreadable
from models.evaluation.evaluate import Mistake, measure
from models.evaluation.report import render
from tests.models.evaluation.test_evaluate import random_set, words

NASTY = '<script>alert("1")</script>'


class Page(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text += data


def evaluation():
    embedded, matrix = random_set(60, 5)
    return measure(embedded, words(matrix, 15.0), model="embedded", template="photo")


def test_figures_plots_and_pictures_are_in_the_page() -> None:
    found = evaluation()
    page = Page(
        render(
            [found, replace(found, template="plain")],
            source="my set",
            pictures={found.mistakes[0].item.name: b"J"},
        )
    )
    assert page.open == []
    assert page.tags.count("svg") == 4
    assert f"{found.top1:.1%}" in page.text and f"{found.ece:.3f}" in page.text
    assert ("src", "data:image/jpeg;base64,Sg==") in page.attributes
    assert "Every picture could be read" in page.text


def test_every_labels_accuracy_is_told_where_the_plot_has_no_room() -> None:
    embedded, matrix = random_set(400, 40)
    many = measure(embedded, words(matrix, 15.0), model="embedded", template="photo")
    page = Page(render([many], source="pictures"))
    for score in many.per_class:
        assert f"{score.label}{score.accuracy:.1%}{score.images}" in page.text
    assert "details" not in Page(render([evaluation()], source="pictures")).tags


def test_the_page_loads_and_runs_nothing() -> None:
    page = Page(render([evaluation()], source="set"))
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert "default-src 'none'" in dict(page.attributes)["content"] or "default-src 'none'" in str(
        page.attributes
    )
    assert all(
        value.startswith("data:") for name, value in page.attributes if name in ("src", "href") and value
    )


def test_names_of_files_and_labels_are_only_text() -> None:
    mistake = Mistake(Item(NASTY, NASTY, 0), NASTY, 0.9)
    found = replace(
        evaluation(),
        model=NASTY,
        template=NASTY,
        mistakes=(mistake,),
        unreadable=(Unreadable(NASTY, "damaged"),),
        warnings=(NASTY,),
    )
    page = Page(render([found], source=NASTY, pictures={NASTY: b"J"}))
    assert "script" not in page.tags
    assert page.text.count(NASTY) >= 7
    assert "Pictures that could not be read: 1" in page.text


def test_a_set_without_mistakes_has_a_page_too() -> None:
    found = replace(evaluation(), mistakes=(), confusions=(), seconds=0.0)
    assert "No mistakes" in Page(render([found], source="set")).text
