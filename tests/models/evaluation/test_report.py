"""models/evaluation/report.py: one page that holds everything, loads nothing and trusts no name."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from models.evaluation.dataset import LabelledPicture
from models.evaluation.embed_dataset import Unreadable
from models.evaluation.evaluate import ClassScore, Mistake, measure
from models.evaluation.report import render
from models.scoring.calibration import Bin
from tests.models.evaluation.test_evaluate import random_set, words

NASTY = '<script>alert("1")</script>'


SVG = "{http://www.w3.org/2000/svg}"


def drawings(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


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
    mistake = Mistake(LabelledPicture(NASTY, NASTY, 0), NASTY, 0.9)
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


def test_a_bar_is_as_high_as_the_accuracy_and_empty_bins_have_none() -> None:
    bins = (Bin(0.0, 0.5, 0, 0.25, 0.0), Bin(0.5, 1.0, 10, 0.8, 0.6))
    drawing, _ = drawings(render([replace(evaluation(), reliability=bins)], source="set"))
    frame, bar = drawing.iter(f"{SVG}rect")
    side = float(frame.get("height"))
    assert float(bar.get("height")) == pytest.approx(0.6 * side)
    assert float(bar.get("y")) + float(bar.get("height")) == pytest.approx(side, abs=0.1)
    (dot,) = drawing.iter(f"{SVG}circle")
    assert float(dot.get("cx")) == pytest.approx(float(frame.get("x")) + 0.8 * side)
    assert bar.find(f"{SVG}title").text == "50% to 100% sure: 10 pictures, 60.0% right"


def test_labels_bars_are_as_long_as_their_accuracy() -> None:
    scores = (ClassScore("<b>&", 3, 1.0), ClassScore("x" * 30, 4, 0.5), ClassScore("none", 5, 0.0))
    _, drawing = drawings(render([replace(evaluation(), per_class=scores)], source="set"))
    widths = [float(bar.get("width")) for bar in drawing.iter(f"{SVG}rect")]
    assert widths[1] == pytest.approx(widths[0] / 2) and widths[2] == 1
    text = "".join(drawing.itertext())
    assert "<b>&" in text and "50% of 4" in text and "\n" + "x" * 27 + "…\n" in text
