"""The house's walls and the direction between its rooms, read from the imports that stand in the files."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "torchvision", "open_clip", "timm", "transformers", "PIL"}
BUILDERS = {
    "app/model_loading.py",
    *(f"app/cli/{name}.py" for name in ("calibrate", "classify", "embed", "evaluate", "label_sets")),
}

# A room imports from itself and from those before it. `models` comes before all of `app`.
FLOORS = {
    "models": (
        ("errors", "embedded_constants", "priority"),
        ("images", "pretrained"),
        ("encoders",),
        ("batching",),
        ("labels",),
        ("scoring",),
        ("classifier",),
        ("loading", "evaluation"),
        ("training",),
    ),
    "models.training": (("corpus",), ("model",), ("loop",), ("__main__",)),
    "app": (
        ("settings", "extras"),
        ("storage", "model_loading", "tracing"),
        ("http",),
        ("schemas",),
        ("requests",),
        ("service",),
        ("routes",),
        ("main",),
        ("serve", "ray"),
        ("workers",),
        ("cli",),
    ),
}
LARGEST_ROOM = 12  # files
OF_THE_WING = ("__version__", "load", "LoadOptions")  # what a wing's own __init__ gives


def sources(wing: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / wing).rglob("*.py"))


@cache
def imported(source: str) -> tuple[tuple[str, bool], ...]:
    """Dotted names that a file imports, anywhere in it, and whether only a type checker sees it."""
    return tuple(_imported(source))


def _imported(source: str) -> Iterator[tuple[str, bool]]:
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


def room_of(name: str, wing: str) -> str:
    """ "models.images.decode" of "models" -> "images"; of a wing itself, ""."""
    return name.removeprefix(wing).removeprefix(".").partition(".")[0]


@pytest.mark.parametrize(
    ("wing", "source"), [(wing, source) for wing in FLOORS for source in sources(wing.replace(".", "/"))]
)
def test_a_room_imports_only_from_the_floors_below(wing: str, source: str) -> None:
    floor = {room: height for height, rooms in enumerate(FLOORS[wing]) for room in rooms}
    own = room_of(source.removesuffix(".py").replace("/", "."), wing)
    if own == "__init__":
        return
    assert own in floor, f"{source}: say in FLOORS where this room stands"
    for name, for_types in imported(source):
        room = room_of(name, wing)
        elsewhere = not f"{name}.".startswith(f"{wing}.")
        if elsewhere or room == own or for_types or room in OF_THE_WING:
            continue
        assert room in floor and floor[room] < floor[own], f"{source} imports {name}"


def test_rooms_are_small_enough_to_be_seen_at_a_glance() -> None:
    folders = {path.parent for wing in ("app", "models") for path in (ROOT / wing).rglob("*.py")}
    counts = {
        str(f.relative_to(ROOT)): len([p for p in f.glob("*.py") if p.stem != "__init__"]) for f in folders
    }
    assert {folder: count for folder, count in counts.items() if count > LARGEST_ROOM} == {}


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
        f"import sys, app.main, app.serve; print(*({HEAVY!r} & sys.modules.keys()))",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [], "what loads a model is imported when a model is loaded"
