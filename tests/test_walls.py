"""The walls of the house, read from the imports that stand in the files."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILDERS = {
    "app/main.py",
    "app/classify_cli.py",
    "app/evaluate_cli.py",
    "app/label_sets_cli.py",
    "app/calibrate_cli.py",
}
HEAVY = {"torch", "torchvision", "open_clip", "timm", "transformers", "PIL"}


def sources(wing: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / wing).rglob("*.py"))


def imported(source: str) -> Iterator[tuple[str, bool]]:
    """Dotted names that a file imports, anywhere in it, and whether only a type checker sees it."""
    tree = ast.parse((ROOT / source).read_text(encoding="utf-8"))
    for_types = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for statement in branch.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in for_types
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: imports are absolute here"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", id(node) in for_types


@pytest.mark.parametrize("source", sources("app"))
def test_app_knows_no_torch_no_open_clip_no_pil(source: str) -> None:
    roots = {name.partition(".")[0] for name, _ in imported(source)}
    assert not roots & HEAVY


@pytest.mark.parametrize("source", sources("models"))
def test_models_know_no_http_and_nothing_of_app(source: str) -> None:
    roots = {name.partition(".")[0] for name, _ in imported(source)}
    assert not roots & {"app", "fastapi", "starlette", "uvicorn", "pydantic_settings"}


@pytest.mark.parametrize("source", sources("app"))
def test_only_the_doors_build_models(source: str) -> None:
    builds = {
        name
        for name, for_types in imported(source)
        if not for_types and (name in ("models", "models.load") or name.startswith("models.loading"))
    }
    assert not builds or source in BUILDERS


def test_importing_the_service_does_no_heavy_work() -> None:
    command = [
        sys.executable,
        "-c",
        f"import sys, app.main, app.server; print(*({HEAVY!r} & sys.modules.keys()))",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [], "what loads a model is imported when a model is loaded"
