"""Every code block of docs/compatibility.md runs, against a real service, with the client it names."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from app.routes.compat import ROUTERS
from tests.app.routes.compat.conftest import Run, run

PAGE = (Path(__file__).parents[4] / "docs" / "compatibility.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
ELSEWHERE = ("tritonclient", "inference_sdk")


def blocks(*, wanted: str, elsewhere: bool = False) -> list[Any]:
    return [
        pytest.param(code, id=" ".join(code.split())[:40])
        for language, code in BLOCKS
        if language == wanted and any(name in code for name in ELSEWHERE) is elsewhere
    ]


@pytest.fixture
def at_home(server: str, classifier: Any) -> Any:
    """Code as it stands on the page, with this service's address and its model's name."""
    address = server.removeprefix("http://")
    return lambda code: code.replace("127.0.0.1:8000", address).replace("embedded", classifier.info.name)


@pytest.mark.parametrize("code", blocks(wanted="python"))
def test_python(code: str, at_home: Any, folder: Path) -> None:
    # In a process of its own: examples leave the closing of files and clients to its end.
    run([sys.executable, "-c", at_home(code)], folder)


@pytest.mark.parametrize("code", blocks(wanted="python", elsewhere=True))
def test_python_of_another_environment(code: str, at_home: Any, python: Run) -> None:
    python(at_home(code))


@pytest.mark.parametrize("code", blocks(wanted="js"))
def test_javascript(code: str, at_home: Any, node: Run) -> None:
    assert "coffee cup" in node(at_home(code))


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("code", blocks(wanted="sh"))
def test_shell(code: str, at_home: Any, folder: Path) -> None:
    assert '"imageHeight":300' in run(["sh", "-c", at_home(code)], folder)


def test_every_format_and_route_is_on_the_page() -> None:
    for name in ROUTERS:
        assert f"| `{name}` |" in PAGE
    served = {route.path for router in ROUTERS.values() for route in router.routes}
    for path in served:
        named = "/v2/…" if path.startswith("/v2") else path.replace(":path", "")
        assert f"`{named}`" in PAGE
