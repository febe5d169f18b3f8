"""What pages and code say was measured is what bench/results/ holds.

After new weights: `python -m bench.answers`. `make bench` writes its pages itself; so does its report alone,
`python -m bench.all --report`.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from bench import answers_written, int8, layouts, queueing, quoted, report, rivals
from models import embedded_constants
from models.pretrained import catalogue
from models.scoring import multi_label

ROOT = Path(__file__).parents[1]
FOUND = json.loads((ROOT / "bench/results/answers.json").read_text(encoding="utf-8"))


def test_they_are_of_the_weights_that_ship() -> None:
    weights = ROOT / "models/embedded/open_clip_model.safetensors"
    assert FOUND["fingerprint"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert FOUND["fingerprint"] == embedded_constants.FINGERPRINT


def test_the_guides_tables_show_them() -> None:
    guide = (ROOT / answers_written.GUIDE).read_text(encoding="utf-8")
    assert answers_written.guide(guide, FOUND) == guide
    shown = re.search(r"^\| Caltech-101 \| half \| `reject` \| (\S+) ±", guide, re.MULTILINE)
    assert shown is not None
    assert float(shown[1]) == round(FOUND["rejection"]["caltech101"]["neglabel"]["auroc"]["mean"], 3)


def test_the_codes_constants_are_the_measured_ones() -> None:
    assert (ROOT / answers_written.FITTED).read_text(encoding="utf-8") == answers_written.fitted(FOUND)
    row = catalogue.find(catalogue.EMBEDDED)
    assert row is not None and row.temperature == round(FOUND["calibration"]["temperature"], 2)
    assert (multi_label.DEFAULT.slope, multi_label.DEFAULT.offset) == (
        round(FOUND["many"]["slope"], 2),
        round(FOUND["many"]["offset"], 2),
    )


@pytest.mark.parametrize("name", quoted.PLACES)
def test_pages_quote_the_benchmarks(name: str) -> None:
    page = (ROOT / quoted.PLACES[name][0]).read_text(encoding="utf-8")
    assert quoted.quoted(name, page, report.read()) == page


@pytest.mark.parametrize("bench", [rivals, int8, layouts, queueing], ids=lambda bench: bench.RESULTS.stem)
def test_pages_have_the_tables_that_were_measured(bench: ModuleType) -> None:
    page = bench.PAGE.read_text(encoding="utf-8")
    found = json.loads(bench.RESULTS.read_text(encoding="utf-8"))
    name = f"bench: {bench.RESULTS.stem}"
    assert quoted.filled(page, name, bench.table(found), bench.PAGE) == page


def test_the_readmes_table_names_candids_rate_at_one_client() -> None:
    rate = report.read()["peers"]["services"]["Candid"]["one"]["per_s"]
    assert f"| **Candid** | **{rate:.3g}** |" in (ROOT / "README.md").read_text(encoding="utf-8")
