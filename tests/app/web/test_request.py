"""The request that the page shows: copied with its button, it gives the page's answer in a shell."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.app.web.service import free_port, serving
from tests.app.web.visitor import Visitor, visit

KEY = "correct-horse-battery"


def copied(visitor: Visitor) -> str:
    """What the "Copy" button leaves in the clipboard."""
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.page.locator("#curl-copy").click()
    visitor.page.get_by_text("Copied").wait_for()
    return str(visitor.page.evaluate("navigator.clipboard.readText()"))


def run(command: str, folder: Path, **environment: str) -> list[dict[str, Any]]:
    """The results that the command's answer has."""
    done = subprocess.run(
        ["bash", "-c", f"{command} -sS"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
    )
    results: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    return results


def labels_of(result: dict[str, Any]) -> list[str]:
    return [ranked["label"] for ranked in result["ranking"]]


def test_the_copied_command_gives_the_page_s_answer(
    visitor: Visitor, photographs: dict[str, bytes], tmp_path: Path
) -> None:
    name = "Tom's cup; 1, 2.jpg"
    (tmp_path / name).write_bytes(photographs["coffee cup"])
    visitor.drop(photographs["coffee cup"], name)
    visitor.type_words("coffee cup", "dog's dinner", "@home")
    shown = visitor.ranked(count=3)
    [result] = run(copied(visitor), tmp_path)
    assert labels_of(result) == shown


def test_it_has_every_picture_and_every_choice(
    visitor: Visitor, photographs: dict[str, bytes], tmp_path: Path
) -> None:
    for index in range(6):
        (tmp_path / f"{index}.jpg").write_bytes(photographs["cat" if index % 2 else "coffee cup"])
        visitor.drop((tmp_path / f"{index}.jpg").read_bytes(), f"{index}.jpg")
    visitor.type_words("coffee cup")
    visitor.page.get_by_label("Allow “none of these”").check()
    visitor.page.select_option("#template", "own")
    visitor.page.get_by_label("Your phrase").fill("a {} on [an], old table")
    for card in range(6):
        visitor.ranked(card, count=1)
    results = run(copied(visitor), tmp_path)
    assert [result["name"] for result in results] == [f"{index}.jpg" for index in range(6)]
    assert all(labels_of(result) == ["coffee cup"] and "rejection" in result for result in results)
    asked = visitor.asked()
    assert asked["template"] == "a {} on [an], old table" and asked["reject"] is True


def test_a_key_is_taken_from_the_environment_and_not_shown(
    browser: Any, classifier: Any, photographs: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "cup.jpg").write_bytes(photographs["coffee cup"])
    with (
        serving({"embedded": classifier}, free_port(), api_keys=(KEY,)) as url,
        visit(browser, url) as visitor,
    ):
        visitor.page.goto(url)
        visitor.page.get_by_label("This service asks for an API key.").fill(KEY)
        visitor.page.keyboard.press("Enter")
        visitor.drop(photographs["coffee cup"])
        visitor.type_words("coffee cup", "airplane")
        shown = visitor.ranked(count=2)
        command = copied(visitor)
        assert KEY not in command
        [result] = run(command, tmp_path, CANDID_API_KEY=KEY)
        assert labels_of(result) == shown
