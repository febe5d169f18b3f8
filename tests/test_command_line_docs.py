"""Every block of docs/command-line.md does what it says, against a real server."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from tests import shell
from tests.server import Server

PAGE = (Path(__file__).parents[1] / "docs" / "command-line.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photographs: dict[str, bytes]) -> Path:
    made = tmp_path_factory.mktemp("command-line")
    (made / "photos" / "space").mkdir(parents=True)
    (made / "photos" / "cat.jpg").write_bytes(photographs["cat"])
    (made / "photos" / "cup.jpg").write_bytes(photographs["coffee cup"])
    (made / "photos" / "space" / "rocket.jpg").write_bytes(photographs["rocket"])
    return made


@pytest.fixture(scope="module")
def outputs(folder: Path, server: Server, candid: Path) -> list[str]:
    """What the blocks print, run one after the other in one folder."""
    done = [shell.run(block, folder, server.address, candid) for block in BLOCKS]
    return [each.stdout + each.stderr for each in done]


@pytest.fixture(scope="module")
def best(outputs: list[str], folder: Path) -> dict[str, str]:
    """Each picture's best label. How good the model is stands in other tests."""
    with (folder / "answers.csv").open(newline="") as file:
        return {row["path"]: row["label"] for row in csv.DictReader(file)}


def test_a_folder_becomes_a_table_and_going_on_does_nothing_twice(
    outputs: list[str], best: dict[str, str]
) -> None:
    assert list(best) == ["photos/cat.jpg", "photos/cup.jpg", "photos/space/rocket.jpg"]
    assert set(best.values()) <= {"cat", "coffee cup", "rocket"}
    assert "3 pictures in" in outputs[0]
    assert "0 pictures, 3 done before" in outputs[2]


def test_paths_from_another_command_are_answered_in_words(outputs: list[str]) -> None:
    assert "photos/cat.jpg  451 × 300" in outputs[1] and "%" in outputs[1]


def test_links_by_label(best: dict[str, str], folder: Path) -> None:
    links = {str(link.relative_to(folder)) for link in (folder / "by-label").glob("*/*")}
    assert links == {f"by-label/{label}/{Path(path).name}" for path, label in best.items()}


def test_overlays_of_each_picture_and_label(best: dict[str, str], folder: Path) -> None:
    drawn = {file.name for file in (folder / "overlays").iterdir()}
    assert len(drawn) == 9
    assert {f"{path.replace('/', '_')}-{label}.png" for path, label in best.items()} <= drawn


def test_a_service_gives_the_same_labels(best: dict[str, str], folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "by-service.jsonl").read_text().splitlines()]
    assert {line["path"]: line["label"] for line in lines} == best


def test_lines_as_they_are_ready(outputs: list[str]) -> None:
    *answers, last = [json.loads(line) for line in outputs[6].splitlines()]
    assert {line["index"]: line["name"] for line in answers} == {0: "cat.jpg", 1: "cup.jpg"}
    assert [len(line["ranking"]) for line in answers] == [1, 1]
    assert last["model"] == "embedded"


def test_the_columns_that_the_page_names_are_those_of_the_table(outputs: list[str], folder: Path) -> None:
    with (folder / "answers.csv").open(newline="") as file:
        columns = next(csv.reader(file))
    for column in set(columns) - {"label", "probability", "similarity"}:
        assert f"`{column}`" in PAGE


def test_pictures_are_embedded_once(outputs: list[str], folder: Path) -> None:
    assert "photos/cat.jpg  451 × 300" in outputs[-1]
    assert (folder / "photos.npy").is_file() and (folder / "words.npy").is_file()
