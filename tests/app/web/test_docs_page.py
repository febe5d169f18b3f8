"""The docs page in a browser: its examples work when they are tried, and nothing comes from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.web.service import free_port, serving
from tests.app.web.visitor import Visitor, visit

KEY = "correct-horse-battery"


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
    # Swagger UI resolves an operation a moment after it is opened, without a sign, and fails before that.
    operation.page.wait_for_timeout(200)
    operation.locator("button.execute").click()
    status = operation.locator(".live-responses-table .response-col_status").nth(1)
    status.wait_for()
    return int(str(status.text_content()).split()[0])


def test_every_example_works_as_it_stands_from_top_to_bottom(reader: Visitor) -> None:
    answers = {}
    for operation in reader.page.locator(".opblock").all():
        control = operation.locator(".opblock-summary-control")
        control.click()
        answers[str(operation.get_attribute("id"))] = execute(operation)
        control.click()
    assert len(answers) >= 16
    assert {name: status for name, status in answers.items() if not 200 <= status < 300} == {}


def test_a_key_opens_the_service(browser: Any, classifier: Any) -> None:
    with (
        serving({"embedded": classifier}, free_port(), api_keys=(KEY,)) as url,
        visit(browser, url + "docs") as reader,
    ):
        page = reader.page
        page.goto(reader.url)
        models = page.locator('.opblock:has([data-path="/v1/models"])')
        models.locator(".opblock-summary-control").click()
        assert execute(models) == 401
        page.locator("button.authorize").first.click()
        page.locator(".auth-container input").fill(KEY)
        page.locator(".auth-btn-wrapper button[type=submit]").click()
        page.locator(".auth-btn-wrapper .btn-done").click()
        models.locator("button.btn-clear").click()
        assert execute(models) == 200


def test_a_picture_can_be_chosen_and_sent_as_a_form(reader: Visitor, cat: bytes, tmp_path: Path) -> None:
    picture = tmp_path / "cat.jpg"
    picture.write_bytes(cat)
    operation = reader.page.locator('.opblock:has([data-path="/v1/classify"])')
    operation.locator(".opblock-summary-control").click()
    operation.locator("select[aria-label='Request content type']").select_option("multipart/form-data")
    operation.locator("input[type=file]").first.set_input_files(picture)
    assert execute(operation) == 200
