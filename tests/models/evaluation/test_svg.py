"""models/evaluation/svg.py: the plots are well-formed and stand where the numbers say."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from models.evaluation.svg import LEFT, SIDE, bars, reliability
from models.scoring.calibration import Bin

SVG = "{http://www.w3.org/2000/svg}"


def test_a_bar_is_as_high_as_the_accuracy_and_empty_bins_have_none() -> None:
    drawing = ElementTree.fromstring(reliability([Bin(0.0, 0.5, 0, 0.25, 0.0), Bin(0.5, 1.0, 10, 0.8, 0.6)]))
    (bar,) = [r for r in drawing.iter(f"{SVG}rect") if r.get("class") == "bar"]
    assert float(bar.get("height")) == pytest.approx(0.6 * SIDE)
    assert float(bar.get("y")) + float(bar.get("height")) == pytest.approx(SIDE, abs=0.1)
    (dot,) = drawing.iter(f"{SVG}circle")
    assert float(dot.get("cx")) == pytest.approx(LEFT + 0.8 * SIDE)
    assert "10 pictures" in bar.find(f"{SVG}title").text


def test_bars_are_as_long_as_their_share_and_escape_their_names() -> None:
    drawing = ElementTree.fromstring(bars([("<b>&", 1.0, "100%"), ("half", 0.5, "50%"), ("none", 0.0, "0%")]))
    widths = [float(r.get("width")) for r in drawing.iter(f"{SVG}rect")]
    assert widths[1] == pytest.approx(widths[0] / 2) and widths[2] == 1
    assert "<b>&" in "".join(drawing.itertext())


def test_nothing_to_draw_is_still_a_drawing() -> None:
    for text in (reliability([]), bars([])):
        assert ElementTree.fromstring(text).tag == f"{SVG}svg"
