"""models/evaluation/dataset.py: three kinds of source give the same pictures and labels."""

from __future__ import annotations

import io
import random
import tarfile
from pathlib import Path

import pytest

from models.errors import InvalidRequest
from models.evaluation.dataset import find, load, sample

FILES = {
    "great_white shark/1.jpg": b"shark 1",
    "great_white shark/2.jpg": b"shark 2",
    "tench/1.jpg": b"tench 1",
    "tench/deeper/2.png": b"tench 2",
}
LABELS = [
    ("great white shark", b"shark 1"),
    ("great white shark", b"shark 2"),
    ("tench", b"tench 1"),
    ("tench", b"tench 2"),
]
JUNK = {
    ".DS_Store": b"x",
    "tench/.hidden": b"x",
    "tench/Thumbs.db": b"x",
    "__MACOSX/tench/1.jpg": b"x",
    "README": b"x",
}


def folder(at: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_bytes(data)
    return at


def tar(at: Path, files: dict[str, bytes], mode: str, prefix: str = "") -> Path:
    with tarfile.open(at, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return at


def read(source: Path) -> list[tuple[str, bytes]]:
    return [(loaded.item.label, loaded.data) for loaded in load(find(source))]


def test_a_folder_and_tars_of_every_shape_give_the_same(tmp_path: Path) -> None:
    assert read(folder(tmp_path / "set", FILES | JUNK)) == LABELS
    assert read(folder(tmp_path / "around" / "inner", FILES).parent) == LABELS
    assert read(tar(tmp_path / "a.tar", FILES | JUNK, "w")) == LABELS
    assert read(tar(tmp_path / "b.tar.gz", FILES, "w:gz", prefix="./")) == LABELS
    assert read(tar(tmp_path / "c.tgz", FILES, "w:gz", prefix="caltech/images/")) == LABELS


@pytest.mark.parametrize("header", ["", "label,path\n", "id,Path,Label\n"])
def test_a_csv_names_its_columns_or_has_path_and_label_in_this_order(tmp_path: Path, header: str) -> None:
    folder(tmp_path, FILES)
    rows = [(name, label) for name, (label, _) in zip(FILES, LABELS, strict=True)]
    lines = {
        "": [f"{name},{label}" for name, label in rows],
        "label,path\n": [f"{label},{name}" for name, label in rows],
        "id,Path,Label\n": [f'7,{name},"{label}"' for name, label in rows],
    }[header]
    listing = tmp_path / "list.csv"
    listing.write_text("\ufeff" + header + "\n".join(lines) + "\n\n", encoding="utf-8")
    assert read(listing) == LABELS


def test_a_missing_file_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"b")
    listing = tmp_path / "list.csv"
    listing.write_text("a.jpg,cat\nb.jpg,dog\n")
    first, second = load(find(listing))
    assert first.problem == "No such file or directory" and first.item.name == "a.jpg"
    assert second.problem is None and second.data == b"b"


def test_a_device_on_a_list_is_named_and_not_read(tmp_path: Path) -> None:
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    listing = tmp_path / "list.csv"
    listing.write_text("zero.jpg,cat\n")
    (loaded,) = load(find(listing))
    assert (loaded.data, loaded.problem) == (b"", "not a regular file")


def test_a_sample_is_the_same_for_the_same_seed_and_keeps_all_labels(tmp_path: Path) -> None:
    whole = find(tar(tmp_path / "a.tar", {f"c{i % 7}/{i}.jpg": bytes([i]) for i in range(70)}, "w"))
    some = sample(whole, 10, seed=3)
    assert [loaded.item for loaded in load(some)] == list(some.items)
    assert len(some.items) == 10 and some.classes == whole.classes
    assert sample(whole, 10, seed=3) == some != sample(whole, 10, seed=4)
    assert sample(whole, None) == sample(whole, 70) == whole


def test_two_members_of_one_name_are_two_pictures(tmp_path: Path) -> None:
    source = tmp_path / "a.tar"
    with tarfile.open(source, "w") as archive:
        for data in (b"1", b"2"):
            member = tarfile.TarInfo("cat/a.jpg")
            member.size = 1
            archive.addfile(member, io.BytesIO(data))
    assert read(source) == [("cat", b"1"), ("cat", b"2")]


def test_links_and_devices_in_a_tar_are_passed_over(tmp_path: Path) -> None:
    source = tmp_path / "a.tar"
    with tarfile.open(source, "w") as archive:
        link = tarfile.TarInfo("cat/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
        member = tarfile.TarInfo("cat/a.jpg")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"1"))
    assert read(source) == [("cat", b"1")]


def test_what_is_no_data_set_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise.tar").write_bytes(b"no tar" * 500)
    cut = tar(
        tmp_path / "cut.tar.gz",
        {f"cat/{i}.jpg": random.Random(i).randbytes(9_000) for i in range(20)},
        "w:gz",
    )
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (tmp_path / "short.csv").write_text("path,label\na.jpg\n")
    (tmp_path / "latin.csv").write_bytes(b"a.jpg,caf\xe9\n")
    for name in ("absent", "empty", "noise.tar", "cut.tar.gz", "short.csv", "latin.csv"):
        with pytest.raises(InvalidRequest) as caught:
            find(tmp_path / name)
        assert caught.value.field == "dataset", name
        assert name in caught.value.message


def test_a_list_that_never_ends_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "set.csv").symlink_to("/dev/zero")
    with pytest.raises(InvalidRequest, match="not a regular file"):
        find(tmp_path / "set.csv")
