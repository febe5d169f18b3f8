"""The browser, a service to look at, and a tab that is open on its page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.app.web.visitor import Visitor, chromium, visit
from tests.server import Server


@pytest.fixture(scope="module")  # not longer: while Playwright runs, asyncio believes that its loop does
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def url(server: Server) -> str:
    """The page of `candid serve`, as a user starts it."""
    return f"{server.url}/"


@pytest.fixture
def visitor(browser: Any, url: str) -> Iterator[Visitor]:
    with visit(browser, url) as arrived:
        arrived.open()
        yield arrived
        assert arrived.complaints == [], "the browser's console must stay empty"
        assert all(r.url.startswith((url, "blob:")) for r in arrived.sent), "nothing comes from elsewhere"
