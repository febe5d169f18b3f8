"""The `candid` command, run as a user runs it.

Where torch is needed, one test runs the installed program and the others one with its imports done.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from models.pretrained.catalogue import CATALOGUE
from tests.fork_server import CANDID


def run(
    *arguments: str, program: Path = CANDID, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [program, *arguments],
        input=stdin,
        capture_output=True,
        env={**os.environ, "COLUMNS": "100", **environment},
        timeout=120,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode(errors="replace")
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, photographs: dict[str, bytes]) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "cat.jpg").write_bytes(photographs["cat"])
    (folder / "cup.jpg").write_bytes(photographs["coffee cup"])
    (folder / "notes.jpg").write_text("not a picture")
    return folder


def test_help_names_the_commands_and_needs_no_torch() -> None:
    done = run("--help", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    for command in ("serve", "classify", "models"):
        assert command in done.stdout
    assert not any(line.endswith("| torch") for line in done.stderr.splitlines())


def test_models_lists_every_row_of_the_catalogue() -> None:
    done = run("models")
    assert done.returncode == 0
    for row in CATALOGUE:
        assert row.name in done.stdout
    assert [row["name"] for row in json.loads(run("models", "--json").stdout)] == [
        row.name for row in CATALOGUE
    ]


def test_classify_ranks_real_photographs(pictures: Path) -> None:
    labels = [part for label in ("cat", "coffee cup", "motorcycle", "airplane") for part in ("-l", label)]
    done = run("classify", str(pictures / "cup.jpg"), str(pictures / "cat.jpg"), *labels, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["model"] == "embedded"
    assert answer["results"][0]["ranking"][0]["label"] == "coffee cup"
    assert [len(result["ranking"]) for result in answer["results"]] == [4, 4]


def test_classify_prints_a_table_with_bars(pictures: Path, candid: Path) -> None:
    done = run("classify", str(pictures / "cat.jpg"), "-l", "cat", "-l", "airplane", program=candid)
    assert done.returncode == 0, done.stderr
    assert "451 × 300" in done.stdout and "█" in done.stdout and "%" in done.stdout


def test_classify_reads_standard_input(pictures: Path, candid: Path) -> None:
    data = (pictures / "cat.jpg").read_bytes()
    asked = ("classify", "-", "-l", "cat", "-l", "airplane", "-k", "1", "--json")
    done = run(*asked, program=candid, stdin=data)
    assert len(json.loads(done.stdout)["results"][0]["ranking"]) == 1


def test_a_bad_picture_is_reported_and_the_others_are_answered(pictures: Path, candid: Path) -> None:
    asked = ("classify", str(pictures / "notes.jpg"), str(pictures / "cat.jpg"), "-l", "cat", "--json")
    done = run(*asked, program=candid)
    assert done.returncode == 1
    bad, good = json.loads(done.stdout)["results"]
    assert bad["error"]["code"] == "image_rejected"
    assert good["ranking"][0]["label"] == "cat"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("classify", "nowhere.jpg", "-l", "cat"), "nowhere.jpg"),
        (("classify", "{cat}", "-l", ""), "labels[0] is empty"),
        (("classify", "{cat}", "-l", "cat", "-t", "no slot"), "{}"),
        (
            ("classify", "{cat}", "-l", "cat", "-m", "hf-hub:nobody/nothing"),
            "'hf-hub:nobody/nothing' cannot be had",
        ),
        (("serve", "--port", "99999"), "port"),
        (("classify", "a" * 5000, "-l", "cat"), "File name too long"),
        (("serve", "--model", "ViT-B-32/no-such-tag"), "has no pretrained tag 'no-such-tag'"),
    ],
)
def test_what_cannot_be_done_is_said_clearly(
    pictures: Path, candid: Path, arguments: tuple[str, ...], words: str
) -> None:
    cat = str(pictures / "cat.jpg")
    done = run(*(cat if argument == "{cat}" else argument for argument in arguments), program=candid)
    assert done.returncode not in (0, None)
    assert words in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_settings_that_do_not_fit_together_are_said_clearly() -> None:
    done = run("serve", CANDID_MAX_BODY_BYTES=str(1 << 30))
    assert done.returncode == 2
    assert "max_buffer_bytes must be at least max_body_bytes" in done.stderr
    assert "Traceback" not in done.stderr
