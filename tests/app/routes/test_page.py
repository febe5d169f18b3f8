"""The page's files as a browser fetches them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.routes.page import WEB, page_router


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    app.include_router(page_router())
    with TestClient(app) as client:
        yield client


def test_the_page_and_every_file_it_names_are_served(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    named = re.findall(r'(?:src|href)="(web/[^"]+)"', page.text)
    assert {"web/main.js", "web/style.css", "web/icon.svg"} <= set(named)
    for name in named:
        assert client.get(f"/{name}").status_code == 200, name


def test_every_module_that_a_module_imports_is_served(client: TestClient) -> None:
    for module in WEB.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', module.read_text(encoding="utf-8")):
            answer = client.get(f"/web/{name}")
            assert answer.status_code == 200, f"{module.name} imports {name}"
            assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("path", ["/", "/web/main.js", "/web/style.css", "/web/icon.svg"])
def test_a_file_that_the_browser_has_is_not_sent_again(client: TestClient, path: str) -> None:
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    weak = client.get(path, headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert weak.status_code == 304
    assert client.get(path, headers={"If-None-Match": '"other"'}).content == first.content


def test_head_tells_the_same_without_the_body(client: TestClient) -> None:
    head = client.head("/")
    assert head.content == b""
    assert head.headers["content-length"] == str(len(client.get("/").content))


@pytest.mark.parametrize("path", ["/", "/web/main.js"])
def test_only_files_of_this_service_may_run(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path", ["/web/nothing.js", "/web/../settings.py", "/web/%2e%2e%2fsettings.py", "/web/"]
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_data_never_becomes_markup() -> None:
    """Words, file names and messages go in as text; the strict policy is the second wall, not the first."""
    for module in WEB.glob("*.js"):
        source = module.read_text(encoding="utf-8")
        for danger in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ):
            assert danger not in source, f"{module.name} uses {danger}"


def test_nothing_is_loaded_from_elsewhere() -> None:
    for path in WEB.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|url\(|@import", text), path.name
