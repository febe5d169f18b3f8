from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from app.cli.batch.sorting import Sorter, best, safe
from models.errors import InvalidRequest


def answer(label: str, **more: Any) -> dict[str, Any]:
    return {"ranking": [{"label": label, "similarity": 0.2, "probability": 0.9}], **more}


def picture(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def sort(sorter: Sorter, file: Path, found: dict[str, Any]) -> Path | None:
    target = sorter.place(file, found)
    if target is not None:
        sorter.take(file, target)
    return target


def test_pictures_are_moved_and_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    sorter = Sorter(tmp_path / "out", move=True)
    for index in range(3):
        file = picture(tmp_path / f"{index}" / "a.jpg", f"{index}")
        sort(sorter, file, answer("cat"))
        assert not file.exists()
    folder = tmp_path / "out" / "cat"
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        "a.jpg": "0",
        "a_2.jpg": "1",
        "a_3.jpg": "2",
    }


def test_links_leave_the_pictures_and_are_made_once(tmp_path: Path) -> None:
    sorter = Sorter(tmp_path / "out", move=False)
    one, other = picture(tmp_path / "1" / "a.jpg"), picture(tmp_path / "2" / "a.jpg")
    for _ in range(2):
        assert sort(sorter, one, answer("cat")) == tmp_path / "out" / "cat" / "a.jpg"
    sort(sorter, other, answer("cat"))
    assert [link.resolve() for link in sorted((tmp_path / "out" / "cat").iterdir())] == [one, other]


def test_a_picture_that_lies_in_its_place_stays(tmp_path: Path) -> None:
    file = picture(tmp_path / "out" / "cat" / "a.jpg")
    assert sort(Sorter(tmp_path / "out", move=True), file, answer("cat")) == file
    assert file.read_text() == "x"


def test_a_move_that_was_cut_short_is_finished_and_overwrites_nothing(tmp_path: Path) -> None:
    sorter, file = Sorter(tmp_path / "out", move=True), picture(tmp_path / "a.jpg")
    target = sorter.place(file, answer("cat"))
    assert target is not None and target.read_text() == "" and file.exists()
    Sorter(tmp_path / "out", move=True).take(file, target)
    assert target.read_text() == "x" and not file.exists()
    sorter.take(file, target)  # done already
    with pytest.raises(InvalidRequest, match="another file"):
        sorter.take(picture(tmp_path / "a.jpg", "new"), target)
    assert target.read_text() == "x"


def test_from_one_file_system_to_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = picture(tmp_path / "a.jpg")
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if self == file:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    target = sort(Sorter(tmp_path / "out", move=True), file, answer("cat"))
    assert target is not None and target.read_text() == "x" and not file.exists()
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("a cat on a mat", "a cat on a mat"),
        ("café ☕ 猫", "café ☕ 猫"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "_"),
        (".", "_"),
        ("", "_"),
        (".hidden", "hidden"),
        ("a/b\\c:d", "a_b_c_d"),
        ("line\nbreak\0", "line_break_"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("ends with dot. ", "ends with dot"),
        ("\u202egnp", "_gnp"),
        ("猫" * 100, "猫" * 66),
    ],
)
def test_a_label_becomes_one_harmless_folder(tmp_path: Path, label: str, folder: str) -> None:
    assert safe(label) == folder
    target = sort(Sorter(tmp_path / "out", move=True), picture(tmp_path / "a.jpg"), answer(label))
    assert target == tmp_path / "out" / folder / "a.jpg"


def test_a_folder_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "cat").symlink_to(tmp_path / "elsewhere")
    file = picture(tmp_path / "a.jpg")
    with pytest.raises(InvalidRequest, match="leads out of"):
        sort(Sorter(tmp_path / "out", move=True), file, answer("cat"))
    deeper = answer("cat > tabby", tree={"answer": {"label": "cat > tabby", "probability": 0.9}})
    with pytest.raises(InvalidRequest, match="leads out of"):
        sort(Sorter(tmp_path / "out", move=True), file, deeper)
    assert file.exists() and not list((tmp_path / "elsewhere").iterdir()), "not even a folder is made there"


def test_what_fits_no_label_stays(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.jpg")
    for found in (answer("cat", rejection={"rejected": True}), answer("cat", tree={"answer": None})):
        assert sort(Sorter(tmp_path / "out", move=True), file, found) is None
    assert not best({"ranking": [{"label": "cat", "holds": False}]})
    assert file.exists() and not (tmp_path / "out").exists()


def test_a_tree_is_folders_in_folders(tmp_path: Path) -> None:
    found = answer("animal > cat", tree={"answer": {"label": "animal > cat", "probability": 0.9}})
    target = sort(Sorter(tmp_path / "out", move=True), picture(tmp_path / "a.jpg"), found)
    assert target == tmp_path / "out" / "animal" / "cat" / "a.jpg"
