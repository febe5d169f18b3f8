"""Every code block of README.md and docs/ does what it says.

Shell blocks run in a folder that holds the photographs they name, against a real server. A `json` block right
after one is its reply (`jsonl`: in lines, in any order); in it "…" stands for anything. Commands that would
install, start a service, train or need Docker are held against what they name. `make docs`
writes the replies as they are now, and the table of models.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from app.cli.main import app
from app.settings import PREFIX, Settings
from models.pretrained.catalogue import CATALOGUE, Row
from tests import shell
from tests.fork_server import CANDID
from tests.server import Server

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# These pages have a test of their own, because their blocks build upon each other or need other clients.
ELSEWHERE = {
    "compatibility.md": "tests/app/routes/compat/test_docs.py",
    "better-answers.md": "tests/test_better_answers.py",
    "command-line.md": "tests/test_command_line_docs.py",
}
WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
PAGES = [page for page in WRITTEN if page.name not in ELSEWHERE]
UPDATE = bool(os.environ.get("UPDATE_DOCS"))
# Commands that are not run here; each has its rule in `test_what_is_not_run_names_what_there_is`.
NOT_RUN = (
    *("make ", "docker ", "kubectl ", "helm ", "candid serve", "OTEL_", "python -m models.training"),
    *("candid embed s3:", "candid classify s3:"),
    *("debootstrap ", "base=$(buildah ", "buildah "),
)
ANYTHING = "…"
SPEEDS = json.loads((ROOT / "bench" / "results" / "speeds.json").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Block:
    """One code block, and the one right after it."""

    page: Path
    language: str
    text: str
    reply: str | None  # of a shell block: the json or jsonl block that follows at once


def blocks(page: Path) -> list[Block]:
    found = list(re.finditer(r"^```(\w*)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL))
    made = []
    for this, following in zip(found, [*found, None][1:], strict=True):
        near = following is not None and this.string[this.end() : following.start()].isspace()
        replied = near and following is not None and following[1].startswith("json")
        made.append(Block(page, this[1], this[2], following[2] if replied and following else None))
    return made


BLOCKS = [block for page in PAGES for block in blocks(page)]


def chosen(language: str, *, run: bool = True) -> list[Any]:
    return [
        pytest.param(block, id=f"{block.page.name}: {' '.join(block.text.split())[:50]}")
        for block in BLOCKS
        if block.language == language and block.text.startswith(NOT_RUN) is not run
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photographs: dict[str, bytes]) -> Path:
    """A folder with the photographs that the pages name."""
    made = tmp_path_factory.mktemp("docs")
    shutil.copytree(
        DOCS / "images", made / "docs" / "images"
    )  # README's first call is made from the checkout
    for name in ("cat.jpg", "coffee.jpg"):
        shutil.copy(DOCS / "images" / name, made / name)
    (made / "rocket.jpg").write_bytes(photographs["rocket"])
    (made / "photos").mkdir()
    for name, label in {"cat": "cat", "cup": "coffee cup", "rocket": "rocket"}.items():
        (made / "photos" / f"{name}.jpg").write_bytes(photographs[label])
    return made


@pytest.mark.parametrize("block", chosen("sh"))
def test_a_shell_block_runs_and_its_reply_is_the_one_shown(
    block: Block, folder: Path, server: Server, candid: Path
) -> None:
    program = CANDID if block.page.name == "README.md" else candid
    done = shell.run(block.text, folder, server.address, program)
    assert (done.stdout + done.stderr).strip()
    if block.reply is None:
        assert '"error"' not in done.stdout
    elif UPDATE:
        update(block, parsed(done.stdout))
    else:
        assert_like(parsed(done.stdout), parsed(block.reply))


def parsed(text: str) -> Any:
    """JSON; of JSON lines a list, by their index."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return sorted(map(json.loads, text.splitlines()), key=lambda line: line.get("index", 1e9))


def assert_like(actual: Any, shown: Any) -> None:
    """The reply as shown: the same keys, words and order; numbers to two digits; any time."""
    if shown == ANYTHING:
        return
    if isinstance(shown, dict):
        assert actual.keys() == shown.keys()
        for key in shown.keys() - {"timing_ms"}:
            assert_like(actual[key], shown[key])
    elif isinstance(shown, list):
        if shown[-1:] == [ANYTHING]:
            shown = shown[:-1]
            actual = actual[: len(shown)]
        assert len(actual) == len(shown)
        for one, other in zip(actual, shown, strict=True):
            assert_like(one, other)
    elif isinstance(shown, float):
        assert actual == pytest.approx(shown, abs=0.01)
    else:
        assert actual == shown


def update(block: Block, actual: Any) -> None:
    """Write the reply as it is now into the page, with "…" where the page had it."""
    assert block.reply is not None
    try:
        shown = parsed(block.reply)
    except ValueError:
        shown = None
    kept = abridged(actual, shown)
    text = "\n".join(map(json_text, kept)) if isinstance(actual, list) else pretty(kept)
    old = block.page.read_text("utf-8")
    new = re.sub(
        re.escape(block.text) + r"```\n\n```(jsonl?)\n" + re.escape(block.reply),
        lambda match: f"{block.text}```\n\n```{match[1]}\n{text}\n",
        old,
    )
    assert parsed(text) == kept
    block.page.write_text(new, encoding="utf-8")


def abridged(actual: Any, shown: Any) -> Any:
    """What to show: no more of a vector than its first numbers; times and ids as they were."""
    if shown == ANYTHING:
        return shown
    if isinstance(actual, dict):
        old = shown if isinstance(shown, dict) else {}
        return {
            key: old[key] if key == "timing_ms" and key in old else abridged(value, old.get(key))
            for key, value in actual.items()
        }
    if isinstance(actual, list):
        if len(actual) > 20 and isinstance(actual[0], float):
            return [*actual[:2], ANYTHING]
        old = shown if isinstance(shown, list) else []
        if old[-1:] == [ANYTHING]:
            return [*map(abridged, actual, old[:-1]), ANYTHING]
        return [abridged(value, old[i] if i < len(old) else None) for i, value in enumerate(actual)]
    return actual


def json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def pretty(value: Any, indent: str = "") -> str:
    """JSON with a line for whatever fits into one."""
    if len(indent + json_text(value)) <= 100 or not isinstance(value, dict | list):
        return json_text(value)
    inner = indent + "  "
    if isinstance(value, dict):
        lines = [f"{inner}{json_text(key)}: {pretty(each, inner)}" for key, each in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + pretty(each, inner) for each in value) + f"\n{indent}]"


@pytest.mark.parametrize("block", chosen("python"))
def test_a_python_block_runs(
    block: Block, folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    here = block.text.replace("127.0.0.1:8000", server.address)
    exec(compile(here, block.page.name, "exec"), {"__name__": "docs"})


@pytest.mark.slow
@pytest.mark.parametrize("block", chosen("sh", run=False))
def test_what_is_not_run_names_what_there_is(block: Block) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        assert line.startswith(NOT_RUN), f"one block, one rule: {line}"
        rule = next(rule for start, rule in RULES.items() if line.startswith(start))
        rule(line)


def make_target_exists(line: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    subprocess.run(["make", "--dry-run", line.split()[1]], cwd=ROOT, check=True, capture_output=True)


def image_has_what_is_named(line: str) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for port in re.findall(r"-p (?:[\d.]+:)?\d+:(\d+)", line):
        assert f"EXPOSE {port}" in dockerfile
    for volume in re.findall(r"-v [\w-]+:(\S+)", line):
        assert f"VOLUME {volume}" in dockerfile
    for argument in re.findall(r"--build-arg (\w+)", line):
        assert f"ARG {argument}" in dockerfile
    for name in re.findall(rf"-e {PREFIX}(\w+)", line):
        assert name.lower() in Settings.model_fields
    files_exist(line)


def chart_has_what_is_set(line: str) -> None:
    chart = ROOT / line.split()[3]
    values = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    for key in re.findall(r"--set ([\w.]+)=", line):
        for part in key.split("."):
            assert part in values, key
            values = values[part]


def files_exist(line: str) -> None:
    for name in re.findall(r"-f (\S+)", line):
        list(yaml.safe_load_all((ROOT / name).read_text(encoding="utf-8")))


def candid_has_the_options(line: str) -> None:
    command: Any = typer.main.get_command(app)
    known = {option for each in command.commands[line.split()[1]].params for option in each.opts}
    assert set(re.findall(r"(?<= )--?\w[\w-]*", line)) <= known


def serve_has_the_options(line: str) -> None:
    candid_has_the_options(line)
    catalogued = {row.name for row in CATALOGUE}
    for spec in re.findall(r"--(?:model|also) (\S+)", line):
        assert spec in catalogued or spec.startswith(("hf-hub:", "./")), spec


def training_has_the_options(line: str) -> None:
    from models.training.__main__ import options

    options(line.split()[3:])  # exits with what it does not know


RULES = {
    "make ": make_target_exists,
    "docker ": image_has_what_is_named,
    "kubectl ": files_exist,
    "helm ": chart_has_what_is_set,
    "debootstrap ": lambda line: None,
    "base=$(buildah ": lambda line: None,
    "buildah ": image_has_what_is_named,
    "OTEL_": lambda line: serve_has_the_options(line.partition(" ")[2]),
    "candid embed s3:": candid_has_the_options,
    "candid classify s3:": candid_has_the_options,
    "candid serve": serve_has_the_options,
    "python -m models.training": training_has_the_options,
}


def test_every_block_is_looked_at() -> None:
    assert {block.language for block in BLOCKS} <= {"sh", "json", "jsonl", "python"}
    for block in BLOCKS:
        if block.language == "json":
            json.loads(block.text)
    for page, test in ELSEWHERE.items():
        assert not (DOCS / page).exists() or (ROOT / test).exists(), f"{page} is run by no test"


def test_links_lead_somewhere() -> None:
    for page in WRITTEN:
        text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            target, _, anchor = link.partition("#")
            if ":" in target:
                continue
            file = (page.parent / target).resolve() if target else page
            assert file.exists(), f"{page.name} links to {link}"
            if anchor:
                assert anchor in anchors(file), f"{page.name} links to {link}"


def test_files_and_modules_that_are_named_are_there() -> None:
    for page in WRITTEN:
        text = page.read_text("utf-8")
        named = re.findall(r"`((?:[.]ci|app|bench|deploy|models|tests)/[\w./-]*|docs/[\w./-]*[.]md)`", text)
        modules = [name.replace(".", "/") for name in re.findall(r"python -m ((?:bench|models)[\w.]*)", text)]
        named += [name if (ROOT / name).is_dir() else f"{name}.py" for name in modules]
        assert [name for name in named if not (ROOT / name).exists()] == [], page.name


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_index_has_every_page() -> None:
    index = (DOCS / "README.md").read_text("utf-8")
    for page in DOCS.rglob("*.md"):
        assert page.name == "README.md" or f"({page.relative_to(DOCS).as_posix()})" in index


def test_the_table_of_models_is_the_catalogue() -> None:
    page = DOCS / "choosing-a-model.md"
    text, rows = page.read_text("utf-8"), "".join(map(table_row, CATALOGUE))
    head, rule, shown = re.search(r"(\| Model \|.*\n)(\| --- .*\n)((?:\|.*\n)*)", text).groups()  # type: ignore[union-attr]
    if UPDATE:
        page.write_text(text.replace(head + rule + shown, head + rule + rows), encoding="utf-8")
    else:
        assert shown == rows, "`make docs` writes it anew"


def test_the_speeds_say_where_they_were_measured() -> None:
    page = (DOCS / "choosing-a-model.md").read_text("utf-8")
    assert f"({SPEEDS['machine']['processor']}, float32, torch)" in page and f"`{SPEEDS['command']}`" in page


def table_row(row: Row) -> str:
    def number(value: float | None) -> str:
        return "–" if value is None else f"{value:g}"

    cells = (
        f"`{row.name}`",
        number(row.imagenet_top1),
        number(SPEEDS["seconds"].get(row.architecture)),
        row.licence,
        number(row.parameters_m),
        f"{number(row.gflops_image)} / {number(row.gflops_text)}",
        f"{row.tokens}",
        row.languages,
        row.note,
    )
    return f"| {' | '.join(cells)} |\n".replace("|  |", "| |")


def test_every_metric_is_documented(server: Server) -> None:
    page = (DOCS / "operations.md").read_text("utf-8")
    with urllib.request.urlopen(f"{server.url}/metrics") as reply:
        families = re.findall(r"^# TYPE (\w+) ", reply.read().decode(), re.MULTILINE)
    ours = [name for name in families if re.match(r"candid_.*(?<!_created)$", name)]
    assert len(ours) > 10
    assert [name for name in ours if f"`{name}" not in page] == []
