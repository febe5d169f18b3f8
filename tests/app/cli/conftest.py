"""Commands that run in the tests' own process share what runs the towers: each would load it for a second."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from models import loading


@pytest.fixture(scope="session", autouse=True)
def loaded_once() -> Iterator[None]:
    """A classifier of its own for each command, around the same runner for the same model and options."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "load_runner", cache(loading.load_runner))
        yield
