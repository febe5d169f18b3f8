"""`candid classify` on many pictures, as a user meets it."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli.main import app
from tests.app.fakes import FakeClassifier
from tests.app.serving import listening
from tests.fork_server import CANDID
from tests.small import small_model

LABELS = ["-l", "cat", "-l", "dog", "-l", "coffee cup"]
PAIR = ["in/a/cat.jpg", "in/a/cup.jpg"]
NAMES = ["in/broken.jpg", "in/rocket.jpg", *PAIR]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(small_model(tmp_path_factory.mktemp("models") / "small"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, photographs: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three photographs, one file that is none, one that does not say it is; the current folder."""
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "in" / "a" / "cat.jpg").write_bytes(photographs["cat"])
    (tmp_path / "in" / "a" / "cup.jpg").write_bytes(photographs["coffee cup"])
    (tmp_path / "in" / "rocket.jpg").write_bytes(photographs["rocket"])
    (tmp_path / "in" / "broken.jpg").write_bytes(photographs["cat"][:600])
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def classify(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["classify", *arguments], input=stdin)


def rows(name: str) -> list[dict[str, str]]:
    with Path(name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_one_bad_file_of_a_folder_is_reported_and_passed_over(model: str) -> None:
    result = classify("in", *LABELS, "-m", model, "-o", "out.csv")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "in/broken.jpg: " in result.stderr
    assert "4 pictures in " in result.stderr and "1 could not be read: out.csv" in result.stderr
    found = rows("out.csv")
    assert [row["path"] for row in found] == NAMES
    assert [bool(row["error"]) for row in found] == [True, False, False, False]
    assert {row["label"] for row in found if row["label"]} <= {"cat", "dog", "coffee cup"}


def test_the_same_command_goes_on_without_doing_a_picture_twice(model: str, folder: Path) -> None:
    question = (*LABELS, "-k", "2", "-m", model, "-o", "out.jsonl")
    assert classify("in/a", *question).exit_code == 0
    before = (folder / "out.jsonl").read_bytes()
    again = classify("in/a", *question)
    assert (again.exit_code, (folder / "out.jsonl").read_bytes()) == (0, before)
    assert "0 pictures, 2 done before" in again.stderr
    assert "3 done before" not in classify("in", *question).stderr
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert sorted(line["path"] for line in lines) == sorted(NAMES)
    assert [len(line["ranking"]) for line in lines if "ranking" in line] == [2, 2, 2]

    other = classify("in", "-l", "bird", "-m", model, "-o", "out.jsonl")
    assert other.exit_code == 2 and "--overwrite" in other.stderr
    assert classify("in/a", "-l", "bird", "-m", model, "-o", "out.jsonl", "--overwrite").exit_code == 0
    assert len((folder / "out.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("ending", ["csv", "tar", "tar.gz", "stdin", "glob"])
def test_every_kind_of_source_gives_the_same_answers(model: str, folder: Path, ending: str) -> None:
    whole = rows_of(classify("in/a", *LABELS, "-m", model, "--json"))
    stdin, arguments = None, [f"in.{ending}"]
    if ending == "csv":
        (folder / "in.csv").write_text("id,path\n1,in/a/cat.jpg\n2,in/a/cup.jpg\n")
    elif ending == "stdin":
        arguments, stdin = ["--from-stdin"], b"in/a/cat.jpg\nin/a/cup.jpg\n"
    elif ending == "glob":
        arguments = ["in/*/*.jpg"]
    else:
        with tarfile.open(f"in.{ending}", "w:gz" if "gz" in ending else "w") as tar:
            tar.add("in/a")
    found = rows_of(classify(*arguments, *LABELS, "-m", model, "--json", stdin=stdin))
    assert [row["ranking"] for row in found] == [row["ranking"] for row in whole]


def rows_of(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, object]] = json.loads(result.stdout)["results"]
    return found


def test_one_picture_from_standard_input(model: str, photographs: Mapping[str, bytes]) -> None:
    result = classify("-", *LABELS, "-m", model, stdin=photographs["cat"])
    assert result.exit_code == 0
    assert "451 × 300" in result.stdout and "█" in result.stdout
    assert result.stderr == ""


def test_parquet_in_and_out(model: str) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    import pyarrow.parquet as parquet

    parquet.write_table(pyarrow.table({"path": PAIR}), "list.parquet")
    assert classify("list.parquet", *LABELS, "-m", model, "-o", "out.parquet").exit_code == 0
    table = parquet.read_table("out.parquet")
    assert table.column("path").to_pylist() == PAIR
    assert [len(ranking) for ranking in table.column("ranking").to_pylist()] == [3, 3]


def test_pictures_are_moved_into_folders_of_their_labels(model: str, folder: Path) -> None:
    result = classify("in", *LABELS, "-m", model, "-o", "out.csv", "--move-to", "in/sorted")
    assert result.exit_code == 1
    sorted_to = {row["path"]: row["sorted_to"] for row in rows("out.csv")}
    assert sorted_to.pop("in/broken.jpg") == "" and (folder / "in/broken.jpg").exists()
    for path, target in sorted_to.items():
        assert not (folder / path).exists() and (folder / target).is_file()
    again = classify("in", *LABELS, "-m", model, "-o", "out.csv", "--move-to", "in/sorted")
    assert "0 pictures, 1 done before" in again.stderr


def test_links_need_no_output_and_the_pictures_stay(model: str, folder: Path) -> None:
    for _ in range(2):
        assert classify("in/a", "-l", "cat", "-m", model, "--link-to", "by-label").exit_code == 0
    links = sorted((folder / "by-label" / "cat").iterdir())
    assert [link.resolve() for link in links] == [folder / "in/a/cat.jpg", folder / "in/a/cup.jpg"]


def test_a_service_in_place_of_a_model(model: str) -> None:
    with listening(FakeClassifier(), api_keys=("a-long-key",)) as port:
        ask = ("in/a", *LABELS, "--server", f"http://127.0.0.1:{port}")
        refused = classify(*ask)
        assert refused.exit_code == 2 and "CANDID_API_KEY" in refused.stderr
        found = json.loads(classify(*ask, "--api-key", "a-long-key", "--json").stdout)
        assert classify(*ask, "--api-key", "a-long-key", "-o", "out.csv").exit_code == 0
    assert found["model"] == "fake"
    assert [result["name"] for result in found["results"]] == PAIR
    assert [row["label"] for row in rows("out.csv")] == ["cat", "cat"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.jpg", "-l", "cat"], "nowhere.jpg"),
        (["in/notes", "-l", "cat"], "in/notes"),
        (["in"], "give labels"),
        (["-l", "cat"], "--from-stdin"),
        (["in", "-l", "cat", "--move-to", "x", "--link-to", "y"], "not both"),
        (["in", "-l", "cat", "--json", "-o", "out.csv"], ".jsonl"),
        (["in", "-l", "cat", "-o", "out.xlsx"], ".parquet"),
        (["list.csv", "-l", "cat", "-o", "list.csv", "--overwrite"], "is read from"),
        (["in", "-l", "cat", "-t", "no place"], "{}"),
        (["in", "-l", "cat", "--server", "ftp://host"], "give an address"),
        (["empty", "-l", "cat"], "no pictures in empty"),
    ],
)
def test_a_mistake_is_told_before_a_model_is_loaded(folder: Path, arguments: list[str], said: str) -> None:
    (folder / "empty").mkdir()
    (folder / "list.csv").write_text("path\nin/a/cat.jpg\n")
    result = classify(*arguments, "-m", "there/is-no-such-model")
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert (folder / "list.csv").exists()


def test_a_small_queue_of_the_services_is_none_of_its_business(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANDID_MAX_QUEUE", "1")
    result = classify("in", *LABELS, "-m", model, "-o", "out.csv")
    assert [row["path"] for row in rows("out.csv")] == NAMES, result.stderr


def test_a_stored_set_that_has_changed_since_is_another_question(model: str, folder: Path) -> None:
    put = ["label-sets", "put", "pets"]
    (folder / "pets.json").write_text(json.dumps({"labels": ["cat", "dog"]}))
    asked = ["in", "--label-set", "pets", "-m", model, "-o", "out.csv"]
    for expected in (1, 2):  # one of the files is none; then: not the same question
        assert CliRunner().invoke(app, [*put, "pets.json"]).exit_code == 0
        result = classify(*asked)
        assert result.exit_code == expected
        (folder / "pets.json").write_text(json.dumps({"labels": ["cat", "dog", "coffee cup"]}))
    assert "does not answer this question" in " ".join(result.stderr.split())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_is_gone_on_with(
    model: str, folder: Path, candid: Path, number: signal.Signals
) -> None:
    paths = [folder / f"{index}.jpg" for index in range(80)]
    for path in paths:
        shutil.copy(folder / "in/a/cat.jpg", path)
    listed = b"".join(f"{path}\n".encode() for path in paths)
    question = ["classify", "--from-stdin", *LABELS, "-m", model, "-o", "out.csv"]
    # A shell starts what runs in its background with SIGINT ignored, and children inherit that.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        [CANDID, *question], stdin=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed
    ) as process:
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(listed)  # and no end of it: the command waits for more
        process.stdin.flush()
        wait_for(lambda: len(lines_of("out.csv")) > 5)
        process.send_signal(number)
        told = process.stderr.read().decode()
        assert process.wait(60) == (130 if number is signal.SIGINT else -number)
        process.stdin.close()
    assert ("goes on from here" in told) is (number is signal.SIGINT)
    done = len(lines_of("out.csv")) - 1
    assert 0 < done < len(paths)
    again = subprocess.run([candid, *question], input=listed, capture_output=True, check=True)
    assert f"{len(paths) - done} pictures in ".encode() in again.stderr
    assert [row["path"] for row in rows("out.csv")] == [str(path) for path in paths]


def lines_of(name: str) -> list[str]:
    return Path(name).read_text().splitlines() if Path(name).exists() else []


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def on_a_terminal(candid: Path, *arguments: str) -> tuple[int, bytes, bytes]:
    """Exit code, standard output, and what a terminal as standard error shows."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    command = [candid, "classify", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    seen = io.BytesIO()
    try:
        while part := os.read(ours, 4096):
            seen.write(part)
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.stdout is not None
    with process.stdout:
        written = process.stdout.read()
    return process.wait(60), written, seen.getvalue()


def test_a_bar_with_rate_and_time_left_is_shown_on_a_terminal(model: str, candid: Path) -> None:
    code, written, seen = on_a_terminal(candid, "in/a", *LABELS, "-m", model, "--json")
    assert code == 0
    assert len(json.loads(written)["results"]) == 2
    assert b"2/2" in seen and b"/s" in seen


def test_a_list_that_cannot_be_read_is_told_once(model: str, folder: Path, candid: Path) -> None:
    (folder / "list.csv").write_text("name\ncat.jpg\n")
    code, _, seen = on_a_terminal(candid, "in/a", "list.csv", *LABELS, "-m", model, "-o", "out.csv")
    assert code == 2
    assert seen.count(b"no column path or file") == 1 and b"Traceback" not in seen


def test_overlays_of_a_model_here_and_of_a_service_are_the_same_files(model: str) -> None:
    import models

    arguments = [*PAIR, *LABELS, "--json"]
    here = classify(*arguments, "--model", model, "--explain", "here")
    loaded = models.load(model)
    try:
        with listening(loaded) as port:
            url = f"http://127.0.0.1:{port}"
            there = classify(*arguments, "--server", url, "--model", "fake", "--explain", "there")
    finally:
        loaded.close()
    assert (here.exit_code, there.exit_code) == (0, 0), here.output + there.output
    files = [{file.name: file.read_bytes() for file in Path(at).iterdir()} for at in ("here", "there")]
    names = {f"{path.replace('/', '_')}-{label}.png" for path in PAIR for label in LABELS[1::2]}
    assert files[0].keys() == files[1].keys() == names
    assert all(data.startswith(b"\x89PNG") for each in files for data in each.values())
    told = json.loads(here.stdout)["results"][0]["explanation"]["labels"][0]
    assert Path(told["overlay"]).name in names and len(told["relevance"]) == 4


def test_a_folder_that_cannot_be_made_is_told_before_any_work(model: str) -> None:
    Path("file").touch()
    done = classify(*PAIR, *LABELS, "--model", model, "--explain", "file")
    assert done.exit_code == 2 and "file: File exists" in done.output
