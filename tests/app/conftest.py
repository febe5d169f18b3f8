"""Clients of the service within the test's own process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, TypeAlias, cast

import httpx2
import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings

ASK = "TESTS_ASK"
"""Names a service that runs elsewhere: then the tests of `client` ask it, and the others are left out."""

Serve: TypeAlias = Callable[..., TestClient]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if ASK in os.environ:
        names = {item: set(getattr(item, "fixturenames", ())) for item in items}
        asks = [item for item in items if "client" in names[item] and "server" not in names[item]]
        config.hook.pytest_deselected(items=[item for item in items if item not in asks])
        items[:] = asks


@pytest.fixture(scope="session")
def client(classifier: Any) -> Iterator[TestClient]:
    """The service with its default settings and the embedded model; or what runs at $TESTS_ASK."""
    if elsewhere := os.environ.get(ASK):
        with httpx2.Client(base_url=elsewhere, timeout=60) as remote:
            yield cast(TestClient, remote)
        return
    with TestClient(create_app(Settings(), {classifier.info.name: classifier})) as opened:
        yield opened


@pytest.fixture
def serve(classifier: Any) -> Iterator[Serve]:
    """The service with settings of the test's choice, and with other classifiers if it has any."""
    with ExitStack() as stack:

        def open_client(classifiers: Mapping[str, Any] | None = None, **settings: Any) -> TestClient:
            loaded = {classifier.info.name: classifier} if classifiers is None else classifiers
            return stack.enter_context(TestClient(create_app(Settings(**settings), loaded)))

        yield open_client


@pytest.fixture(scope="session")
def cat(photographs: Mapping[str, bytes]) -> bytes:
    """A photograph of a cat, 451 × 300, as a JPEG file."""
    return photographs["cat"]
