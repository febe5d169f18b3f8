"""`candid embed`, and its files in place of pictures: the same answers without the image tower."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from app.cli.main import app
from models.classifier import Classifier
from tests.small import small_model

ENDINGS = ("npy", "jsonl", "parquet")


def candid_(*arguments: str | Path, stdin: str | None = None, **environment: str) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), input=stdin, env=environment)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photographs: Mapping[str, bytes]) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for label, data in photographs.items():
        (root / label).mkdir()
        (root / label / "1.jpg").write_bytes(data)
    return root


@pytest.fixture(scope="module")
def files(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One of each kind."""
    root = tmp_path_factory.mktemp("vectors")
    made = {ending: root / f"vectors.{ending}" for ending in ENDINGS}
    for file in made.values():
        result = candid_("embed", folder, "-o", file)
        assert (result.exit_code, "4 pictures in" in result.output) == (0, True), result.output
    return made


def test_an_array_holds_the_models_own_vectors(
    files: dict[str, Path], classifier: Classifier, folder: Path
) -> None:
    vectors = np.load(files["npy"])
    rows = [json.loads(line) for line in Path(f"{files['npy']}.jsonl").read_text().splitlines()]
    assert (vectors.dtype, vectors.shape) == (np.float32, (4, classifier.info.embed_dim))
    for vector, row in zip(vectors, rows, strict=True):
        own = classifier.embed_image(Path(row["path"]).read_bytes()).result().vector
        np.testing.assert_allclose(vector, own, atol=1e-5)
        assert (row["model"], row["fingerprint"]) == ("embedded", classifier.info.fingerprint)


@pytest.fixture(scope="module")
def ranked(folder: Path) -> dict[str, Any]:
    """What is answered of the pictures themselves."""
    return rankings(folder)


def rankings(what: Path) -> dict[str, Any]:
    words = ("-l", "cat", "-l", "rocket", "-l", "coffee cup", "--reject", "--json")
    return {row.pop("name"): row for row in json.loads(candid_("classify", what, *words).stdout)["results"]}


@pytest.mark.parametrize("ending", ENDINGS)
def test_its_pictures_are_answered_as_the_pictures_themselves(
    files: dict[str, Path], ranked: dict[str, Any], ending: str
) -> None:
    vectors = rankings(files[ending])
    assert ranked.keys() == vectors.keys()
    for name, row in ranked.items():
        assert vectors[name]["width"] == row["width"]
        for ours, theirs in zip(vectors[name]["ranking"], row["ranking"], strict=True):
            assert ours["label"] == theirs["label"]
            assert ours["similarity"] == pytest.approx(theirs["similarity"], abs=1e-5)


def test_it_is_measured_by_the_folders_in_its_names(files: dict[str, Path], folder: Path) -> None:
    pictures, *of_vectors = (
        json.loads(candid_("evaluate", what, "--json", "-").stdout)[0] for what in (folder, *files.values())
    )
    for vectors in of_vectors:
        assert {**vectors, "seconds": 0, "ece": 0} == {**pictures, "seconds": 0, "ece": 0}
        assert vectors["ece"] == pytest.approx(pictures["ece"], abs=1e-4)


def test_its_pictures_become_examples(files: dict[str, Path], tmp_path: Path) -> None:
    database = {"CANDID_DATABASE_URL": f"sqlite:///{tmp_path}/candid.db"}
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"labels": ["odd", "even"]}))
    candid_("label-sets", "put", "numbers", labels, **database)
    taught = candid_("label-sets", "teach", "numbers", "odd", files["npy"], **database)
    assert "4 added, 0 known" in taught.output
    again = candid_("label-sets", "teach", "numbers", "odd", files["npy"], **database)
    assert "0 added, 4 known" in again.output
    assert len(candid_("label-sets", "examples", "numbers", "odd", **database).stdout.split()) == 4


def test_texts_are_embedded_as_they_stand(tmp_path: Path, classifier: Classifier) -> None:
    file = tmp_path / "texts.npy"
    result = candid_("embed", "--texts", "a cat", "--from-stdin", "-o", file, stdin="a dog\n\na cat\n")
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(np.load(file), classifier.embed_texts(["a cat", "a dog"]).result(), atol=1e-5)


def test_one_format_becomes_another_and_a_finished_one_is_added_to(
    files: dict[str, Path], folder: Path, tmp_path: Path, photographs: Mapping[str, bytes]
) -> None:
    file, more = tmp_path / "more.npy", tmp_path / "more.jpg"
    more.write_bytes(photographs["cat"])
    assert candid_("embed", files["parquet"], "-o", file).exit_code == 0
    result = candid_("embed", files["parquet"], more, "-o", file)
    assert "1 picture in" in result.output and "4 done before" in result.output
    assert len(np.load(file)) == len(Path(f"{file}.jsonl").read_text().splitlines()) == 5


def test_what_is_killed_goes_on_and_does_no_picture_twice(
    candid: Path, tmp_path: Path, photographs: Mapping[str, bytes]
) -> None:
    (tmp_path / "in").mkdir()
    for number in range(100):
        (tmp_path / "in" / f"{number:03}.jpg").write_bytes(photographs["cat"] + bytes([number]))
    file, partial = tmp_path / "out.npy", tmp_path / ".out.npy.partial"
    command = [candid, "embed", tmp_path / "in", "-o", file]
    running = subprocess.Popen(command, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (partial.exists() and partial.stat().st_size > 30_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert not file.exists() and partial.stat().st_size > 30_000
    done = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    assert " done before" in done and "100 pictures in" not in done
    names = [json.loads(line)["path"] for line in Path(f"{file}.jsonl").read_text().splitlines()]
    assert names == sorted(set(names)) and len(names) == len(np.load(file)) == 100
    assert not partial.exists()


def test_a_file_of_another_model_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    other = small_model(tmp_path / "small")
    for command in (("classify", files["npy"], "-l", "cat"), ("evaluate", files["npy"])):
        result = candid_(*command, "-m", other)
        assert (result.exit_code, "of another model" in result.output) == (2, True), result.output


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.npy", b"not an array", "cannot be read as .npy"),
        ("a.jsonl", b'{"path": "x"}\n', "row 1 is no embedding"),
        ("a.jsonl", b"{]\n", "cannot be read as JSON lines"),
        ("a.jsonl", b"", "holds no embeddings"),
        ("a.parquet", b"PAR1", "cannot be read as Parquet"),
    ],
)
def test_what_is_no_such_file_is_told_in_a_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    result = candid_("classify", tmp_path / name, "-l", "cat")
    assert (result.exit_code, said in result.output) == (2, True), result.output


def test_an_array_without_its_rows_is_told(files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "alone.npy").write_bytes(files["npy"].read_bytes())
    assert "says whose vectors" in candid_("classify", tmp_path / "alone.npy", "-l", "cat").output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("embed", "docs/images/cat.jpg"), "-o FILE"),
        (("embed", "docs/images/cat.jpg", "-o", "x.csv"), "ends in .npy"),
        (("embed", "--texts", " ", "-o", "x.npy"), "empty"),
        (("embed", "--texts", "-o", "x.npy"), "name texts"),
    ],
)
def test_a_mistake_is_told_before_a_model_is_loaded(arguments: tuple[str, ...], said: str) -> None:
    result = candid_(*arguments, "-m", "there/is-no-such-model")
    assert (result.exit_code, said in result.output) == (2, True), result.output


def test_a_service_is_not_asked_about_vectors(files: dict[str, Path]) -> None:
    result = candid_("classify", files["npy"], "-l", "cat", "--server", "127.0.0.1:1")
    assert (result.exit_code, "no --server" in result.output) == (2, True), result.output


def test_a_vector_does_not_say_where(files: dict[str, Path], tmp_path: Path) -> None:
    result = candid_("classify", files["npy"], "-l", "cat", "--explain", tmp_path / "overlays")
    assert (result.exit_code, "needs the picture" in result.output) == (2, True), result.output
