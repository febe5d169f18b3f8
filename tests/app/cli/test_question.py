"""`candid classify` with what goes beyond plain labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.cli.main import app
from app.cli.question import fields_of
from app.schemas.requests import ClassifyBody
from app.storage import label_sets
from app.storage.database import Database
from tests.small import small_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def cat(tmp_path_factory: pytest.TempPathFactory, photographs: Mapping[str, bytes]) -> Path:
    file = tmp_path_factory.mktemp("pictures") / "cat.jpg"
    file.write_bytes(photographs["cat"])
    return file


def classify(*arguments: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(app, ["classify", *map(str, arguments)], env=environment)


def answer(*arguments: str | Path, **environment: str) -> Any:
    result = classify(*arguments, "--json", **environment)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_label_set_is_a_file_or_a_stored_name(cat: Path, model: Path, tmp_path: Path) -> None:
    body = {"labels": [{"label": "cat", "aliases": ["kitten"]}, {"label": "dog"}], "reject": True}
    file = tmp_path / "pets.json"
    file.write_text(json.dumps(body))
    by_file = answer(cat, "-m", model, "--label-set", file)

    url = f"sqlite:///{tmp_path / 'sets.db'}"
    db = Database(url)
    label_sets.put(db, "pets", body, most=9)
    db.close()
    by_name = answer(cat, "-m", model, "--label-set", "pets", CANDID_DATABASE_URL=url)

    assert by_name["label_set"] == {"name": "pets", "version": 1}
    assert "label_set" not in by_file
    assert by_name["results"][0]["ranking"] == by_file["results"][0]["ranking"]
    assert by_name["results"][0]["rejection"] == by_file["results"][0]["rejection"]


def test_what_is_printed_says_what_was_found(cat: Path, model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    labels = ["-l", "animal > cat", "-l", "animal > dog", "-l", "vehicle > car"]
    result = classify(cat, broken, "-m", model, *labels, "--reject")
    assert result.exit_code == 1  # one could not be read
    assert "of these (score" in result.output and "animal > cat" in result.output
    multi = answer(cat, "-m", model, "-l", "cat", "-l", "dog", "--mode", "multi", "--domain", "pet")
    assert {"holds", "probability"} <= multi["results"][0]["ranking"][0].keys()


def test_thresholds_decide(cat: Path, model: Path) -> None:
    asked = (cat, "-m", model, "-l", "cat", "-l", "dog")
    for limit in ("0", "1"):
        multi = answer(*asked, "--mode", "multi", "--threshold", limit)
        assert {place["holds"] for place in multi["results"][0]["ranking"]} == {limit == "0"}
        rejection = answer(*asked, "--reject", "--reject-threshold", limit)["results"][0]["rejection"]
        assert rejection["rejected"] == (limit == "1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-l", "cat", "--label-set", "pets"], "only one"),
        (["--label-set", "nowhere.json"], "nowhere.json"),
        (["-l", "a > ", "-l", "b > c"], "empty name"),
        (["--mode", "multi"], "give labels"),
        (["-l", "cat", "--vocabulary", "things"], "only one"),
        (["--vocabulary", "smells"], "imagenet-1k"),
    ],
)
def test_a_mistake_is_told_before_a_model_is_loaded(cat: Path, arguments: list[str], said: str) -> None:
    result = classify(cat, "-m", "there/is-no-such-model", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_a_service_is_asked_in_its_own_words(tmp_path: Path) -> None:
    file = tmp_path / "pets.json"
    file.write_text(json.dumps({"labels": ["cat", {"label": "dog", "aliases": ["puppy"]}], "reject": True}))
    changes = {"mode": "multi", "reject": None, "domain": None}
    question = fields_of([], ["photo"], str(file), changes, None)
    read = ClassifyBody.model_validate(question)  # the very model that the service checks with
    assert (read.mode, read.reject, read.template) == ("multi", True, ["photo"])
    assert [label["label"] for label in read.labels if isinstance(label, dict)] == ["cat", "dog"]
    assert fields_of([], [], "pets", {}, True) == {"label_set": "pets", "calibrated": True}
    assert fields_of(["cat"], [], None, {}, None) == {"labels": ["cat"]}


def test_a_label_set_file_that_never_ends_is_not_read(cat: Path) -> None:
    result = classify(cat, "--label-set", "/dev/zero")
    assert result.exit_code == 2
    assert "/dev/zero: not a regular file" in result.stderr
