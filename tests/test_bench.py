"""The benchmarks' table is made of the figures beside it, and the peers' environments are pinned."""

import json
import re
from pathlib import Path

import pytest

from bench import all as every
from bench import report
from bench.peers import environments

ROOT = Path(__file__).parents[1]
REQUIREMENTS = sorted((ROOT / "bench" / "peers" / "requirements").glob("*.txt"))


def test_the_table_is_made_of_the_figures() -> None:
    found = report.read()
    assert (ROOT / "bench" / "results.md").read_text("utf-8") == report.text_of(found)
    assert json.loads((ROOT / "bench" / "results.json").read_text("utf-8")) == found


def test_every_plot_that_the_table_shows_is_there() -> None:
    shown = re.findall(r"!\[.*?\]\((.+?)\)", (ROOT / "bench" / "results.md").read_text("utf-8"))
    assert shown
    for name in shown:
        assert (ROOT / "bench" / name).read_bytes().startswith(b"\x89PNG"), name


def test_every_benchmark_has_its_section() -> None:
    assert set(report.SECTIONS) == set(every.STEPS)


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.stem)
def test_a_peers_environment_is_pinned_with_hashes_and_no_address(file: Path) -> None:
    text = file.read_text("utf-8")
    assert "://" not in text
    entries = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    for entry in entries:
        assert re.match(r"[\w.-]+==[\w.]+ .*--hash=sha256:[0-9a-f]{64}\b", entry), entry
    asked = file.with_suffix(".in").read_text("utf-8").splitlines()
    assert len(environments.pins(file)) == len([line for line in asked if line and not line.startswith("#")])
