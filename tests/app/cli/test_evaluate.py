"""`candid evaluate` as a person types it, on real photographs and a model without talent."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli.main import app
from tests.small import small_model

KEYS = ["model", "template", "images", "classes", "top1", "top5", "ece", "seconds"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photographs: Mapping[str, bytes]) -> Path:
    """Two pictures a class; one file is none."""
    root = tmp_path_factory.mktemp("pictures")
    for label, data in photographs.items():
        place = root / label.replace(" ", "_")
        place.mkdir()
        (place / "1.jpg").write_bytes(data)
        (place / "2.jpg").write_bytes(data)
    (root / "cat" / "broken.jpg").write_bytes(b"no picture")
    return root


def evaluate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def test_a_row_for_each_template_and_label_set(folder: Path, model: Path, tmp_path: Path) -> None:
    label_set = tmp_path / "mine.json"
    labels = ["astronaut", {"label": "cat", "aliases": ["kitten"]}, "coffee cup", "rocket", "dog"]
    label_set.write_text(json.dumps({"labels": labels}))
    out, page = tmp_path / "out.json", tmp_path / "out.html"

    result = evaluate(
        folder, "--model", model, "-t", "plain", "-t", "photo", "--label-set", label_set,
        "--json", out, "--report", page,
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    rows = json.loads(out.read_text())
    assert [list(row) for row in rows] == [KEYS] * 3
    assert [row["template"] for row in rows] == ["plain", "photo", "mine.json"]
    assert [row["classes"] for row in rows] == [4, 4, 5]
    assert {row["images"] for row in rows} == {8}
    assert "1 picture could not be read" in result.output and "cat/broken.jpg" in result.output
    assert page.read_text().startswith("<!doctype html>")


def test_files_of_one_name_are_two_rows(folder: Path, model: Path, tmp_path: Path) -> None:
    files = []
    for place, alias in (("a", "kitten"), ("b", "tomcat")):
        (tmp_path / place).mkdir()
        files.append(tmp_path / place / "mine.json")
        labels = ["astronaut", {"label": "cat", "aliases": [alias]}, "coffee cup", "rocket"]
        files[-1].write_text(json.dumps({"labels": labels, "mode": "multi", "reject": True}))
    result = evaluate(folder, "-m", model, "--label-set", files[0], "--label-set", files[1], "--json", "-")
    assert [row["template"] for row in json.loads(result.stdout)] == ["mine.json", "mine.json"]


def test_models_are_compared_and_a_tar_gives_what_its_folder_gives(
    folder: Path, model: Path, tmp_path: Path
) -> None:
    other = small_model(tmp_path / "other", seed=1)
    archive = tmp_path / "pictures.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname="pictures")

    results = [evaluate(source, "-m", model, "-m", other, "--json", "-") for source in (folder, archive)]

    rows, again = (json.loads(result.stdout) for result in results)
    assert [row["model"] for row in rows] == ["small", "other"]
    for one, two in zip(rows, again, strict=True):
        assert [one[key] for key in KEYS[:-1]] == pytest.approx([two[key] for key in KEYS[:-1]])


def test_a_limit_draws_the_same_pictures_for_the_same_seed(folder: Path, model: Path) -> None:
    rows = [
        json.loads(evaluate(folder, "-m", model, "--limit", "4", "--seed", "3", "--json", "-").stdout)[0]
        for _ in range(2)
    ]
    assert rows[0]["images"] <= 4
    assert rows[0]["top1"] == rows[1]["top1"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "there is no folder or file nowhere"),
        ([".", "-t", "no slot"], "must hold {} exactly once"),
        ([".", "--label-set", "nowhere.json"], "nowhere.json: No such file"),
    ],
)
def test_a_mistake_is_told_before_a_model_is_loaded(arguments: list[str], said: str) -> None:
    result = evaluate(*arguments, "-m", "there/is-no-such-model")
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
