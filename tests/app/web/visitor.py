"""A visitor of the page: headless Chromium, and the ways in which pictures and words reach it."""

from __future__ import annotations

import base64
import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

WORDS = ("cat", "coffee cup", "motorcycle", "airplane")

PATIENCE_MS = 60_000  # of every wait: machines that run tests are busy, and nothing sleeps this long

FLAGS = [
    "--no-sandbox",  # continuous integration runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a camera with a moving test picture
]

# What a browser does when a file is dropped or pasted, from the file's bytes on.
DELIVER = """([kind, target, name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type }));
  const at = document.querySelector(target);
  const init = { bubbles: true, cancelable: true };
  if (kind === "paste") at.dispatchEvent(new ClipboardEvent("paste", { ...init, clipboardData: carried }));
  else for (const step of ["dragenter", "dragover", "drop"]) {
    at.dispatchEvent(new DragEvent(step, { ...init, dataTransfer: carried }));
  }
}"""

PASTE_TEXT = """(text) => {
  const carried = new DataTransfer();
  carried.setData("text/plain", text);
  document.activeElement.dispatchEvent(
    new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: carried }));
}"""


@dataclass
class Visitor:
    """One tab on the page, and what went over its wire."""

    page: Any
    url: str
    sent: list[Any] = field(default_factory=list)  # the requests, in order
    complaints: list[str] = field(default_factory=list)  # what the browser's console said

    def open(self) -> None:
        self.page.goto(self.url)
        self.page.wait_for_selector("#model-facts div", state="attached")

    def drop(self, data: bytes, name: str = "cup.jpg", kind: str = "drop", target: str = "#drop") -> None:
        encoded = base64.b64encode(data).decode()
        self.page.evaluate(DELIVER, [kind, target, name, "image/jpeg", encoded])

    def paste(self, data: bytes, name: str = "image.png") -> None:
        self.drop(data, name, kind="paste", target="#word")

    def paste_text(self, text: str) -> None:
        self.page.evaluate(PASTE_TEXT, text)

    def type_words(self, *words: str) -> None:
        self.page.locator("#word").focus()
        for word in words:
            self.page.keyboard.type(word)
            self.page.keyboard.press("Enter")

    def ranked(self, card: int = 0, count: int | None = None) -> list[str]:
        """The words of a picture's ranking, best first, once it is there and answers the words of now."""
        root = self.page.locator(".card").nth(card)
        root.locator(".bars .first").first.wait_for()
        self.page.wait_for_function(
            """([card, count]) => {
              const root = document.querySelectorAll(".card")[card];
              return root.getAttribute("aria-busy") === "false"
                && (count === null || root.querySelectorAll(".bars li").length === count);
            }""",
            arg=[card, count],
        )
        return [str(text) for text in root.locator(".bars .label").all_text_contents()]

    def similarities(self, count: int) -> list[str]:
        """What stands at the first picture's words, once it answers the words of now."""
        self.ranked(count=count)
        return [str(text) for text in self.page.locator(".bars .similarity").all_text_contents()]

    def choose(self, button: str, *files: Path) -> None:
        """Press a button that opens a file chooser (or the camera), and choose."""
        with self.page.expect_file_chooser() as chooser:
            self.page.get_by_role("button", name=button).click()
        chooser.value.set_files([str(file) for file in files])

    def asked(self) -> dict[str, Any]:
        """The last question about words, as it was sent."""
        question: dict[str, Any] = self.posts("v1/classify")[-1].post_data_json
        return question

    def words(self) -> list[str]:
        return [str(text) for text in self.page.locator("#chip-list li span").all_text_contents()]

    def posts(self, path: str) -> list[Any]:
        return [r for r in self.sent if r.method == "POST" and r.url == self.url + path]


@contextmanager
def chromium() -> Iterator[Any]:
    """Debian's browser, driven by Playwright; skips where either is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install -e '.[dev]'")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def visit(browser: Any, url: str, **context: Any) -> Iterator[Visitor]:
    """A new tab with nothing kept from earlier ones."""
    size = {"width": 1280, "height": 860}
    tab = browser.new_context(**{"viewport": size, "reduced_motion": "reduce", **context})
    tab.set_default_timeout(PATIENCE_MS)
    visitor = Visitor(tab.new_page(), url)
    visitor.page.on("request", lambda request: visitor.sent.append(request))
    visitor.page.on("console", lambda message: visitor.complaints.append(message.text))
    visitor.page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    try:
        yield visitor
    finally:
        tab.close()


def axe_source() -> str:
    """axe-core as `axe-playwright-python` carries it."""
    spec = importlib.util.find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.skip("needs axe-playwright-python: pip install -e '.[dev]'")
    return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def assert_accessible(visitor: Visitor) -> None:
    """axe finds nothing serious or critical in what is shown now."""
    visitor.page.evaluate(axe_source())
    found = visitor.page.evaluate(
        "axe.run({ resultTypes: ['violations'] }).then((report) => report.violations)"
    )
    grave = [
        (violation["id"], node["target"], node["failureSummary"])
        for violation in found
        for node in violation["nodes"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert grave == []
