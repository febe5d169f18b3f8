"""Bytes of pictures, bounded: what has no end, is no file or lies about its size is an error, not a wait."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from models.errors import ImageRejected
from models.evaluation import picture_files
from models.evaluation.picture_files import is_junk, read_file, read_member, tar_members


def test_a_file_and_a_link_to_one_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"cat")
    (tmp_path / "b.jpg").symlink_to("a.jpg")
    assert read_file(tmp_path / "a.jpg") == read_file(tmp_path / "b.jpg") == b"cat"


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_devices_and_pipes_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    for name in ("pipe", "zero.jpg", "."):
        with pytest.raises(OSError, match="not a regular file"):
            read_file(tmp_path / name)


def test_too_large_a_file_is_refused_also_when_it_tells_no_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_files, "MAX_FILE_BYTES", 3)
    (tmp_path / "a.jpg").write_bytes(b"cats")
    files = [tmp_path / "a.jpg", Path("/proc/self/stat")]  # the second is regular, and of 0 bytes
    for path in filter(Path.exists, files):
        with pytest.raises(ImageRejected) as caught:
            read_file(path)
        assert caught.value.reason == "too_many_bytes"


def test_members_of_a_tar_are_read_bounded_and_damage_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_files, "MAX_FILE_BYTES", 2000)
    source = tmp_path / "a.tar"
    with tarfile.open(source, "w") as archive:
        for name, size in (("large", 2001), ("whole", 1000), ("cut", 2000)):
            member = tarfile.TarInfo(name)
            member.size = size
            archive.addfile(member, io.BytesIO(bytes(size)))
    source.write_bytes(source.read_bytes()[: 512 + 2048 + 512 + 1024 + 512 + 600])
    outcomes = {}
    with tarfile.open(source) as tar:
        for number, member in tar_members(tar):
            try:
                outcomes[number, member.name] = len(read_member(tar, member))
            except ImageRejected as error:
                outcomes[number, member.name] = error.reason
            if member.name == "cut":
                break
    assert outcomes == {(0, "large"): "too_many_bytes", (1, "whole"): 1000, (2, "cut"): "damaged"}


def test_what_systems_leave_behind_is_junk() -> None:
    assert all(map(is_junk, (".DS_Store", "._a.jpg", "Thumbs.db", "__MACOSX", "desktop.ini")))
    assert not is_junk("a.jpg")
