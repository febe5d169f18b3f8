"""The docs page in a browser: its examples work when they are tried, and nothing comes from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.web.visitor import Visitor, visit


@pytest.fixture
def reader(browser: Any, url: str) -> Iterator[Visitor]:
    with visit(browser, url + "docs") as arrived:
        arrived.page.goto(arrived.url)
        arrived.page.wait_for_selector(".opblock")
        yield arrived
        # Swagger UI's own remark on a form's files, for which it then uses the next best component.
        said = [line for line in arrived.complaints if "JsonSchema_string_binary" not in line]
        assert said == [], "the browser's console must stay empty"
        assert all(r.url.startswith((url, "data:", "blob:")) for r in arrived.sent), (
            "nothing comes from elsewhere"
        )


def execute(operation: Any) -> int:
    """Press "Execute"; the answer's status."""
    operation.locator("button.execute").click()
    status = operation.locator(".live-responses-table .response-col_status").nth(1)
    status.wait_for()
    return int(str(status.text_content()).split()[0])


@pytest.mark.parametrize(
    "path",
    [
        "/v1/classify",
        "/v1/embeddings",
        "/v1/embeddings/images",
        "/v1/models",
        "/healthz",
        "/readyz",
        "/metrics",
    ],
)
def test_an_example_works_as_it_stands(reader: Visitor, path: str) -> None:
    operation = reader.page.locator(f'.opblock:has([data-path="{path}"])')
    operation.locator(".opblock-summary-control").click()
    assert execute(operation) == 200


def test_a_picture_can_be_chosen_and_sent_as_a_form(reader: Visitor, cat: bytes, tmp_path: Path) -> None:
    picture = tmp_path / "cat.jpg"
    picture.write_bytes(cat)
    operation = reader.page.locator('.opblock:has([data-path="/v1/classify"])')
    operation.locator(".opblock-summary-control").click()
    operation.locator("select[aria-label='Request content type']").select_option("multipart/form-data")
    operation.locator("input[type=file]").first.set_input_files(picture)
    assert execute(operation) == 200
