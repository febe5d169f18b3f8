from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from app.cli.batch.outputs import Output
from models.errors import InvalidRequest

RANKING = [
    {"label": "cat, sitting", "similarity": 0.25, "probability": 0.75},
    {"label": "dog\nrunning", "similarity": 0.2, "probability": 0.25},
]
ANSWER = {"width": 4, "height": 3, "ranking": RANKING}
BAD = {"error": {"code": "image_rejected", "message": "two\nlines", "reason": "damaged"}}
KINDS = ["out.csv", "out.jsonl", "out.parquet"]


def output(path: Path, asked: str = "q", top_k: int | None = 2, **options: Any) -> Output:
    if path.suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    return Output(path, asked=asked, top_k=top_k, **options)


def rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    import pyarrow.parquet

    found: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return found


def test_csv_has_the_best_label_and_as_many_more_as_are_asked_for(tmp_path: Path) -> None:
    with output(tmp_path / "out.csv") as out:
        out.write("a.jpg", ANSWER)
        out.write("b.jpg", BAD)
        out.finish()
    first, second = rows(tmp_path / "out.csv")
    assert (first["path"], first["label"], first["probability"]) == ("a.jpg", "cat, sitting", "0.75")
    assert (first["label_2"], first["similarity_2"], first["error"]) == ("dog running", "0.2", "")
    assert (second["label"], second["error"]) == ("", "image_rejected: two lines")


def test_what_an_answer_has_beyond_labels_is_kept(tmp_path: Path) -> None:
    node = {"label": "animal > cat", "probability": 0.75}
    multi = [place | {"holds": place["label"] != "dog\nrunning"} for place in RANKING]
    answer = ANSWER | {
        "ranking": multi,
        "rejection": {"score": 0.1, "threshold": 0.5, "rejected": True},
        "tree": {"levels": [[node]], "answer": node},
    }
    for name in KINDS:
        with output(tmp_path / name) as out:
            out.write("a.jpg", answer)
            out.finish()
    [row] = rows(tmp_path / "out.csv")
    assert (row["rejected"], row["holds"], row["tree"]) == ("true", "cat, sitting", "animal > cat")
    [line], [record] = rows(tmp_path / "out.jsonl"), rows(tmp_path / "out.parquet")
    assert line["ranking"] == record["ranking"] == multi
    assert line["tree"] == json.loads(record["tree"]) == answer["tree"]
    assert record["rejected"] is line["rejected"] is True


@pytest.mark.parametrize("name", KINDS)
def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with output(path) as out:
        out.write("a.jpg", ANSWER)
        out.write("b.jpg", BAD)
    half = path if path.exists() else tmp_path / f".{name}.partial"
    with half.open("ab") as file:
        file.write(b'{"path": "c.jpg", "lab')  # cut off in the middle of a line
    with output(path) as out:
        assert out.done.keys() == {"a.jpg", "b.jpg"}
        out.write("c.jpg", ANSWER)
        out.finish()
    assert [row["path"] for row in rows(path)] == ["a.jpg", "b.jpg", "c.jpg"]
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", KINDS)
def test_a_finished_output_takes_more_pictures(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for picture in ("a.jpg", "b.jpg"):
        with output(path) as out:
            out.write(picture, ANSWER)
            out.finish()
    with output(path) as out:
        assert out.done.keys() == {"a.jpg", "b.jpg"}
        out.finish()
    assert [row["path"] for row in rows(path)] == ["a.jpg", "b.jpg"]


def test_parquet_is_not_there_before_it_is_whole_and_no_row_is_in_it_twice(tmp_path: Path) -> None:
    path, gathered = tmp_path / "out.parquet", tmp_path / ".out.parquet.partial"
    with output(path) as out:
        out.write("a.jpg", ANSWER)
        assert not path.exists()
        lines = gathered.read_bytes()
        out.finish()
    gathered.write_bytes(lines)  # as if the run had ended before it removed them
    with output(path) as out:
        out.write("b.jpg", ANSWER)
        out.finish()
    assert [row["path"] for row in rows(path)] == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("name", KINDS)
def test_answers_to_another_question_are_not_mixed_in(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with output(path) as out:
        out.write("a.jpg", ANSWER)
        out.finish()
    before = path.read_bytes()
    with pytest.raises(InvalidRequest, match="--overwrite"):
        output(path, asked="another")
    assert path.read_bytes() == before
    with output(path, asked="another", overwrite=True) as out:
        assert not out.done
        out.write("b.jpg", ANSWER)
        out.finish()
    assert [row["path"] for row in rows(path)] == ["b.jpg"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.csv", "path,label\na.jpg,cat\n"),
        ("x.jsonl", "[1]\n"),
        ("x.jsonl", "no json\n"),
        ("x.csv", "a\n"),
        ("x.csv", "one line, no end"),
        ("x.csv", "path,label\na.jpg,a last line that nobody ended"),
        ("x.jsonl", '{"mine": 1}'),
        ("x.jsonl", '[1]\n{"path": "a last line'),
    ],
)
def test_a_file_that_is_no_output_is_left_alone(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidRequest, match="no output of candid"):
        output(tmp_path / name)
    assert (tmp_path / name).read_text() == content


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_a_first_line_that_was_cut_off_is_written_anew(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with output(path) as out:
        out.write("a.jpg", ANSWER)
    whole = path.read_bytes()
    for size in (1, 5, whole.index(b"\n")):
        path.write_bytes(whole[:size])
        with output(path) as out:
            assert not out.done
            out.write("a.jpg", ANSWER)
        assert path.read_bytes() == whole


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="No such file"):
        output(tmp_path / "nowhere" / "out.csv")
    with pytest.raises(InvalidRequest, match=r"ends in \.csv"):
        output(tmp_path / "out.xlsx")


@pytest.mark.parametrize("name", KINDS)
def test_an_output_that_never_ends_is_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(InvalidRequest, match="not a regular file"):
        output(tmp_path / name)
