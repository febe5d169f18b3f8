"""Pictures into folders named by their best label: moved, or linked to.

Never overwrites: a picture whose name is taken gets a number. A label names a folder only after everything
that means something to a file system is taken out, and a folder that leads elsewhere is refused. A move can
be interrupted at any point: first its place is reserved by an empty file, then the answer is kept, then the
picture takes the place.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from models.errors import InvalidRequest
from models.labels.label_set import PATH

MAX_FOLDER_BYTES: Final = 200  # file systems take 255 in a name
_UNSAFE: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_DEVICES: Final = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


@dataclass(frozen=True, slots=True)
class Sorter:
    """Sorts pictures into folders of `top`."""

    top: Path
    move: bool  # else symbolic links

    def place(self, picture: Path, answer: Mapping[str, Any]) -> Path | None:
        """Reserve (or link) the picture's place; None when no label fits it."""
        names = best(answer)
        if not names:
            return None
        target_folder = self._folder(names)
        for number in count(1):
            name = picture.name if number == 1 else f"{picture.stem}_{number}{picture.suffix}"
            target = target_folder / name
            try:
                if self.move:
                    target.touch(exist_ok=False)
                else:
                    target.symlink_to(picture.resolve())
            except FileExistsError:
                if not _same(target, picture):
                    continue
            return target
        raise AssertionError("unreachable")

    def take(self, picture: Path, target: Path) -> None:
        """Move the picture to its reserved place; a link is in its place already."""
        if self.move and picture.exists() and not _same(picture, target):
            if target.exists() and target.stat().st_size:
                raise InvalidRequest(f"{picture} is not moved: {target} is another file")
            _move(picture, target)

    def _folder(self, names: list[str]) -> Path:
        folder = self.top.joinpath(*map(safe, names))
        if not folder.resolve().is_relative_to(self.top.resolve()):  # through a link, before anything is made
            raise InvalidRequest(f"{folder} leads out of {self.top}: nothing is put there")
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def best(answer: Mapping[str, Any]) -> list[str]:
    """The label that a picture is sorted by, of a tree the sure node's path; nothing if none of them fits."""
    if answer.get("rejection", {}).get("rejected") or not answer.get("ranking"):
        return []
    if "tree" in answer:
        sure = answer["tree"]["answer"]
        return sure["label"].split(PATH) if sure else []
    first = answer["ranking"][0]
    return [first["label"]] if first.get("holds", True) else []


def safe(label: str) -> str:
    """A folder's name for a label, on any file system."""
    name = "".join(char if char.isprintable() else "_" for char in _UNSAFE.sub("_", label))
    name = name.encode("utf-8", "replace")[:MAX_FOLDER_BYTES].decode("utf-8", "ignore").strip(" .")
    return f"_{name}" if not name or _DEVICES.match(name) else name


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _move(picture: Path, target: Path) -> None:
    try:
        picture.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Another file system: the picture is whole in its place before it leaves the old one.
        beside = target.with_name(f".{target.name}.{os.getpid()}.moving")
        shutil.copy2(picture, beside)
        beside.replace(target)
        picture.unlink()
