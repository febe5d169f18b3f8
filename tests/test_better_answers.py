"""Every code block of docs/better-answers.md runs, in its order, against a real server and one folder.

A `json` block that follows a shell block is the reply to its last command: the same shape and the same words.
Its figures belong to the embedded model and are not held; `UPDATE_DOCS=1` writes the present ones.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests import shell
from tests.fork_server import CANDID
from tests.server import Server

PAGE = Path(__file__).parents[1] / "docs" / "better-answers.md"
GUIDE = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL)
SHELL = [index for index, (language, _) in enumerate(BLOCKS) if language == "sh"]
NAMES = {"cat": "cat.jpg", "coffee cup": "coffee.jpg", "rocket": "rocket.jpg"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photographs: Mapping[str, bytes]) -> Path:
    """The photographs that the guide names, and class-named folders of pieces of them."""
    made = tmp_path_factory.mktemp("guide")
    for label, name in NAMES.items():
        (made / name).write_bytes(photographs[label])
        picture = Image.open(io.BytesIO(photographs[label]))
        pieces = made / "pictures" / label.replace(" ", "_")
        pieces.mkdir(parents=True)
        for number in range(10):
            edge = 4 * number
            piece = picture.crop((edge, edge, picture.width - edge, picture.height - 2 * edge))
            piece.save(pieces / f"{number}.jpg", quality=90)
    return made


@pytest.fixture(scope="module")
def guided(folder: Path, candid: Path) -> Iterator[Server]:
    """A server of the guide's own: its blocks build upon each other."""
    server = Server(folder, candid)
    server.wait_until_ready()
    yield server
    server.stop()


@pytest.mark.parametrize("index", SHELL)
def test_a_block_runs_and_its_reply_is_like_the_one_shown(
    index: int, folder: Path, guided: Server, candid: Path
) -> None:
    # The last block calibrates and evaluates once more: by the installed program.
    program = CANDID if index == SHELL[-1] else candid
    database = f"sqlite:///{folder}/candid-{guided.port}.db"
    output = shell.run(BLOCKS[index][1], folder, guided.address, program, CANDID_DATABASE_URL=database).stdout
    assert '"error"' not in output
    following = BLOCKS[index + 1] if index + 1 < len(BLOCKS) else ("", "")
    if following[0] == "json" and os.environ.get("UPDATE_DOCS"):
        page, reply = PAGE.read_text(encoding="utf-8"), json.loads(output)
        shown = f"{BLOCKS[index][1]}```\n\n```json\n"
        PAGE.write_text(page.replace(shown + following[1], f"{shown}{pretty(reply)}\n"), encoding="utf-8")
    elif following[0] == "json":
        assert_like(json.loads(output), json.loads(following[1]))


def pretty(value: Any, indent: str = "") -> str:
    """JSON with a line for whatever fits into one."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(indent + flat) <= 100 or not isinstance(value, dict | list):
        return flat
    inner = indent + "  "
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(key)}: {pretty(each, inner)}" for key, each in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + pretty(each, inner) for each in value) + f"\n{indent}]"


def assert_like(actual: Any, shown: Any) -> None:
    """The same keys, and as many of everything; the words that do not depend on the model."""
    assert type(actual) is type(shown)
    if isinstance(shown, dict):
        assert actual.keys() == shown.keys()
        for key in shown:
            assert_like(actual[key], shown[key])
    elif isinstance(shown, list):
        assert len(actual) == len(shown)
        for one, other in zip(actual, shown, strict=True):
            assert_like(one, other)


def test_every_block_is_looked_at() -> None:
    assert {language for language, _ in BLOCKS} == {"sh", "json"}
