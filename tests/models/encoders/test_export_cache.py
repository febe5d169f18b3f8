"""A folder that can be made again: whole and sound, or not there, whoever else makes it."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from models.encoders.export_cache import ABANDONED_S, MANIFEST, Export

FINGERPRINT = "f" * 64


def export(
    root: Path, version: str | None = "1", *, fingerprint: str = FINGERPRINT, config: str = "ours"
) -> Export:
    return Export(root, fingerprint, {"config": config}, {"candid": "1", "torch": version})


def make(export: Export, text: str = "graph") -> None:
    with export.making() as folder:
        (folder / "graph.bin").write_text(text)


def test_what_was_made_is_sound_also_for_the_next_process(tmp_path: Path) -> None:
    assert not export(tmp_path).is_sound()
    make(export(tmp_path))
    again = export(tmp_path)
    assert again.is_sound()
    assert (again.folder / "graph.bin").read_text() == "graph"
    assert [path.name for path in tmp_path.iterdir()] == [again.folder.name], "nothing else is left behind"


def test_whoever_serves_may_read_what_the_installation_made(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        make(export(tmp_path))
    finally:
        os.umask(before)
    folder = export(tmp_path).folder
    assert [path.stat().st_mode & 0o004 for path in (folder, *folder.iterdir())] == [0o004] * 3


@pytest.mark.parametrize(
    "damage", ["a byte", "a file is gone", "a file more", "no manifest", "not JSON", "empty"]
)
def test_a_damaged_one_is_not_sound_and_is_made_again(tmp_path: Path, damage: str) -> None:
    kept = export(tmp_path)
    make(kept)
    graph, manifest = kept.folder / "graph.bin", kept.folder / MANIFEST
    match damage:
        case "a byte":
            graph.write_text("grapH")
        case "a file is gone":
            graph.unlink()
        case "a file more":
            (kept.folder / "other").write_text("x")
        case "no manifest":
            manifest.unlink()
        case "not JSON":
            manifest.write_text("{")
        case "empty":
            graph.unlink()
            manifest.write_text("{}")
    assert not kept.is_sound()
    make(kept)
    assert kept.is_sound() and graph.read_text() == "graph"


def test_one_made_from_something_else_is_never_taken_for_it(tmp_path: Path) -> None:
    ours, theirs = export(tmp_path), export(tmp_path, config="theirs")
    make(theirs)
    assert ours.folder != theirs.folder
    shutil.copytree(theirs.folder, ours.folder)
    assert not ours.is_sound()


def test_what_another_version_made_is_made_again_in_its_place(tmp_path: Path) -> None:
    earlier, ours = export(tmp_path, "1"), export(tmp_path, "2")
    make(earlier, "earlier")
    assert not ours.is_sound()
    make(ours)
    assert ours.is_sound() and not earlier.is_sound()
    assert list(tmp_path.iterdir()) == [ours.folder]


def test_a_version_that_cannot_be_asked_here_may_be_any(tmp_path: Path) -> None:
    """An export is carried to a machine without torch."""
    make(export(tmp_path, "2"))
    assert export(tmp_path, None).is_sound()


def test_only_outdated_exports_of_the_same_weights_are_deleted(tmp_path: Path) -> None:
    other_weights = export(tmp_path, "1", fingerprint="e" * 64)
    other_config = export(tmp_path, "2", config="theirs")
    outdated = export(tmp_path, "1", config="of an earlier release")
    make(other_weights)
    make(outdated)
    once = tmp_path / f"{FINGERPRINT[:16]}-0123456789abcdef"  # when the versions were part of the name
    once.mkdir()
    (once / MANIFEST).write_text(json.dumps({"made_from": {"versions": {"torch": "2"}}, "sha256": {}}))
    ours = export(tmp_path, "2")
    make(ours)
    make(other_config)
    assert set(tmp_path.iterdir()) == {other_weights.folder, other_config.folder, ours.folder}


def test_the_first_of_two_that_make_it_at_once_wins(tmp_path: Path) -> None:
    slow, quick = export(tmp_path), export(tmp_path)
    with slow.making() as folder:
        (folder / "graph.bin").write_text("slow")
        make(quick, "quick")
    assert slow.is_sound()
    assert (slow.folder / "graph.bin").read_text() == "quick"


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), export(tmp_path).making() as folder:
        (folder / "graph.bin").write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_a_crash_left_behind_is_removed_in_time(tmp_path: Path) -> None:
    kept = export(tmp_path)
    old, fresh = (tmp_path / f"{kept.folder.name}.{name}" for name in ("old", "fresh"))
    for folder in (old, fresh):
        folder.mkdir()
    long_ago = time.time() - ABANDONED_S - 1
    os.utime(old, (long_ago, long_ago))
    make(kept)
    assert not old.exists() and fresh.exists()


def test_a_file_in_its_place_is_replaced(tmp_path: Path) -> None:
    kept = export(tmp_path)
    kept.folder.write_text("not a folder")
    assert not kept.is_sound()
    make(kept)
    assert kept.is_sound()
