from __future__ import annotations

import errno
import io
import os
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.cli.batch import sources
from app.cli.batch.sources import Sources, printable
from models.errors import CandidError, ImageRejected, InvalidRequest
from models.evaluation import picture_files


def put(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())


def names(*arguments: object, **options: Any) -> list[str]:
    return [found.name for found in Sources(tuple(map(str, arguments)), **options)]


def tar_of(path: Path, members: dict[str, bytes], mode: Any = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_is_its_pictures_at_any_depth_in_order(here: Path) -> None:
    put(here, "in/b.JPG", "in/a.png", "in/deep/er/c.webp", "in/x.heic", "in/notes.txt", "in/.hidden.jpg")
    put(here, "in/__MACOSX/a.png", "in/.cache/a.png", "in/._a.png")
    assert names("in") == ["in/a.png", "in/b.JPG", "in/x.heic", "in/deep/er/c.webp"]


def test_the_folder_that_pictures_go_to_is_not_looked_into(here: Path) -> None:
    put(here, "in/a.jpg", "in/sorted/cat/b.jpg", "in/other/c.jpg")
    assert names("in", leave_out=Path("in/sorted")) == ["in/a.jpg", "in/other/c.jpg"]


def test_a_folder_that_may_not_be_listed_is_one_bad_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(here / "a", "open/1.jpg", "shut/2.jpg")
    listed = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("shut"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = {each.name: each for each in Sources(("a",))}
    assert found.keys() == {"a/open/1.jpg", "a/shut"}
    with pytest.raises(PermissionError):
        found["a/shut"].read()


def test_a_link_that_leads_in_circles_ends(here: Path) -> None:
    put(here, "in/a.jpg")
    (here / "in" / "again").symlink_to(here / "in")
    assert names("in") == ["in/a.jpg"]


def test_globs_and_a_picture_that_is_named_twice(here: Path) -> None:
    put(here, "in/a.jpg", "in/deep/b.jpg", "in/c.dat")
    assert names("in/**/*.jpg", "in/a.jpg", "in") == ["in/a.jpg", "in/deep/b.jpg"]
    assert names("in/c.dat") == ["in/c.dat"]  # what is named directly counts, whatever its ending


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_is_read_in_its_order_without_unpacking(here: Path, mode: str) -> None:
    members = {"b.jpg": b"1", "deep/a.jpg": b"22", "notes.txt": b"no", ".x.jpg": b"no"}
    tar = tar_of(here / ("p.tar.gz" if "gz" in mode else "p.tar"), members, mode)
    found = [(found.name, found.path, found.read()) for found in Sources((tar.name,))]
    assert found == [(f"{tar.name}/b.jpg", None, b"1"), (f"{tar.name}/deep/a.jpg", None, b"22")]


def test_names_that_a_tar_has_twice_are_told_apart(here: Path) -> None:
    with tarfile.open(here / "p.tar", "w") as tar:
        for data in (b"1", b"2"):
            info = tarfile.TarInfo("a.jpg")
            info.size = 1
            tar.addfile(info, io.BytesIO(data))
    assert [(f.name, f.read()) for f in Sources(("p.tar",))] == [
        ("p.tar/a.jpg", b"1"),
        ("p.tar/a.jpg#2", b"2"),
    ]


@pytest.mark.parametrize("name", ["p.tar", "p.tar.gz"])
def test_a_tar_that_is_cut_short_is_one_bad_file_after_what_was_whole(here: Path, name: str) -> None:
    tar_of(here / "whole", {f"{i}.jpg": os.urandom(4000) for i in range(9)}, "w:gz" if "gz" in name else "w")
    (here / name).write_bytes((here / "whole").read_bytes()[:20_000])
    put(here, "after.jpg")
    good, bad = [], []
    for found in Sources((name, "after.jpg")):
        try:
            good.append((found.name, found.read()))
        except ImageRejected as error:
            bad.append(error.reason)
    assert good[-1][0] == "after.jpg" and len(good) >= 4
    assert bad and set(bad) == {"damaged"}


def test_lists_name_pictures_beside_them(here: Path) -> None:
    put(here, "data/a.jpg", "data/b, c.jpg")
    (here / "data/list.csv").write_text('label,Path\ncat,a.jpg\ndog,"b, c.jpg"\nnone,\n')
    (here / "data/list.tsv").write_text("\ufefffile\nmissing.jpg\n")
    assert names("data/list.csv") == ["data/a.jpg", "data/b, c.jpg"]
    assert names("data/list.tsv") == ["data/missing.jpg"]
    (here / "bad.csv").write_text("name,label\na,b\n")
    with pytest.raises(InvalidRequest, match=r"no column path or file .*name, label"):
        names("bad.csv")


def test_parquet_lists(here: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    import pyarrow.parquet

    pyarrow.parquet.write_table(pa.table({"file": ["a.jpg", None, "/b.jpg"], "n": [1, 2, 3]}), "list.parquet")
    assert names("list.parquet") == ["a.jpg", "/b.jpg"]
    (here / "bad.parquet").write_bytes(b"no")
    with pytest.raises(InvalidRequest, match="cannot be read as Parquet"):
        names("bad.parquet")


def test_without_pyarrow_the_extra_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    put(here, "list.parquet")
    with pytest.raises(CandidError, match=r"candid\[parquet\]"):
        Sources(("list.parquet",)).check()


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_standard_input_is_paths_or_one_picture(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"a.jpg\r\n\nb c.jpg\na.jpg")
    assert names(from_stdin=True) == ["a.jpg", "b c.jpg"]
    stdin(monkeypatch, b"bytes")
    [found] = Sources(("-",))
    assert (found.name, found.path, found.read()) == ("-", None, b"bytes")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Sources(("nowhere.jpg",)), "nowhere.jpg: there is no such file"),
        (Sources(("no*.jpg",)), "no"),
        (Sources(()), "name pictures"),
        (Sources(("-",), from_stdin=True), "either"),
    ],
)
def test_what_is_not_there_is_told_before_any_work(asked: Sources, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        asked.check()


def test_a_file_that_is_far_too_large_is_not_read(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(here, "large.jpg")
    monkeypatch.setattr(picture_files, "MAX_FILE_BYTES", 3)
    [found] = Sources(("large.jpg",))
    with pytest.raises(ImageRejected, match="exceeds 3 bytes"):
        found.read()


@pytest.mark.parametrize("argument", ["photos", "photos/pipe.jpg", "photos/zero.jpg"])
def test_a_pipe_or_a_device_is_a_bad_file_however_it_is_named(here: Path, argument: str) -> None:
    """Neither ends: a pipe may never be written to, and /dev/zero fills the memory."""
    (here / "photos").mkdir()
    os.mkfifo("photos/pipe.jpg")
    Path("photos/zero.jpg").symlink_to("/dev/zero")
    for found in Sources((argument,)):
        with pytest.raises(OSError, match="not a regular file"):
            found.read()


@pytest.mark.parametrize("name", ["list.csv", "list.tsv", "list.parquet"])
def test_a_list_that_never_ends_is_not_read(here: Path, name: str) -> None:
    Path(name).symlink_to("/dev/zero")
    with pytest.raises(InvalidRequest, match="not a regular file"):
        list(Sources((name,)))
    Path(name).unlink()
    os.mkfifo(name)
    with pytest.raises(InvalidRequest, match="not a regular file"):
        list(Sources((name,)))


@pytest.mark.parametrize("name", ["pictures.tar", "pictures.tar.gz"])
def test_a_tar_that_never_ends_is_one_bad_file(here: Path, name: str) -> None:
    Path(name).symlink_to("/dev/zero")
    os.mkfifo("pipe.tar")
    for found in Sources((name, "pipe.tar")):
        with pytest.raises(ImageRejected, match="not a regular file"):
            found.read()


def test_a_line_that_never_ends_is_told(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_files, "MAX_LINE_CHARS", 12)
    stdin(monkeypatch, b"short.jpg\n" + b"x" * 13)
    found = iter(Sources((), from_stdin=True))
    assert next(found).name == "short.jpg"
    with pytest.raises(InvalidRequest, match="a line has 12 characters or more"):
        next(found)
    Path("list.csv").write_text("path\n" + "x" * 13)
    with pytest.raises(InvalidRequest, match="a line has 12 characters or more"):
        list(Sources(("list.csv",)))


def test_a_path_that_is_none_is_a_bad_file(here: Path) -> None:
    Path("list.csv").write_bytes(b"path\na\0b.jpg\n")
    [found] = Sources(("list.csv",))
    with pytest.raises(OSError, match="not a path"):
        found.read()


def test_standard_input_is_bounded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 3)
    stdin(monkeypatch, b"four")
    [found] = Sources(("-",))
    with pytest.raises(ImageRejected, match="exceeds 3 bytes"):
        found.read()


def test_a_tar_is_not_unpacked_to_be_counted(here: Path) -> None:
    assert Sources(("in", "in/*.jpg")).countable
    assert not Sources(("in", "photos.tar.gz")).countable
    assert not Sources((), from_stdin=True).countable


def test_names_are_printable_and_stay_different() -> None:
    assert printable("häuser/a b.jpg") == "häuser/a b.jpg"
    assert printable("a\nb\x1b[2J") == "a\\nb\\x1b[2J"
    assert printable(os.fsdecode(b"\xff")) != printable(os.fsdecode(b"\xfe"))
