"""The ways that docs/how-it-works.md describes are those that a request goes: its files, in their order."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
NOT_SEEN = {
    "app/http/protocol.py",  # TestClient has no socket
    "models/labels/label_matrix.py",  # a matrix is what comes out
}


def way(title: str) -> list[str]:
    """The files that the page names for one way."""
    [text] = re.findall(rf"\*\*{title}\.\*\*\n(.*?)\n\n", PAGE, re.S)
    return [name for name in re.findall(r"`((?:app|models)/[\w/]+\.py)`", text) if name not in NOT_SEEN]


@pytest.fixture(scope="module")
def entered(photographs: Mapping[str, bytes]) -> list[str]:
    """Files of ours that one request enters, in the order of their first call."""
    files: dict[str, None] = {}

    def watch(frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_code.co_filename
        if event == "call" and frame.f_code.co_name != "<module>" and name.startswith(str(ROOT)):
            files.setdefault(Path(name).relative_to(ROOT).as_posix())

    threading.setprofile(watch)  # the threads that are started from now on
    try:
        with TestClient(create_app(Settings(encoder="openvino"))) as client:
            client.get("/healthz")
            files.clear()
            sys.setprofile(watch)
            answer = client.post(
                "/v1/classify",
                files={"images": ("cat.jpg", photographs["cat"])},
                data={"labels": ["a word that nobody asked for before", "cat"]},
            )
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert answer.status_code == 200
    return list(files)


@pytest.mark.parametrize("title", ["The bytes of one picture", "A label's text"])
def test_a_request_goes_the_way_that_the_page_describes(entered: list[str], title: str) -> None:
    described = way(title)
    assert len(described) >= 8
    assert set(described) - set(entered) == set(), "named by the page, and not entered"


def test_a_picture_goes_it_in_that_order(entered: list[str]) -> None:
    shared = (
        "models/classifier.py",
        "models/batching/batcher.py",
        "models/encoders/",
        "app/http/admission.py",
        "app/service/answering.py",
    )  # labels may come first
    there = way("The bytes of one picture")
    there = there[: there.index("app/service/scorer.py")]  # the way back meets what the labels have made
    forward = [name for name in there if not name.startswith(shared)]
    assert forward == sorted(forward, key=entered.index)
