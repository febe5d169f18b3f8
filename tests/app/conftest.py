"""Clients of the service within the test's own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, TypeAlias

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings

Serve: TypeAlias = Callable[..., TestClient]


@pytest.fixture(scope="session")
def client(classifier: Any) -> Iterator[TestClient]:
    """The service with its default settings and the embedded model."""
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
