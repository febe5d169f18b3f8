from __future__ import annotations

import re

from starlette.testclient import TestClient


def test_the_docs_page_names_only_files_of_this_service(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) >= 4
    for link in links:
        assert "//" not in link and not link.startswith("/"), "relative, so that it works behind a prefix"
        assert client.get(f"/{link}").status_code == 200


def test_every_file_of_it_has_the_policy(client: TestClient) -> None:
    for path in ("/docs", "/static/docs.html", "/static/docs.js", "/static/swagger/swagger-ui.css"):
        assert client.get(path).headers["content-security-policy"].startswith("default-src 'self'")


def test_its_files_are_kept_by_the_browser_until_they_change(client: TestClient) -> None:
    first = client.get("/static/docs.js")
    again = client.get("/static/docs.js", headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code) == (200, 304)


def test_nothing_but_its_files_is_served(client: TestClient) -> None:
    for path in (
        "/static/",
        "/static/../main.py",
        "/static/%2e%2e/main.py",
        "/static/swagger",
        "/static//etc/passwd",
    ):
        assert client.get(path).status_code == 404
