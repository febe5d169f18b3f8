"""Labelled pictures to measure with: class-named folders, a tar of `class/name.jpg`, or a CSV of path,label.

Nothing is unpacked to disk: a tar is read in its own order, one member at a time. A picture that cannot be
read is passed on with the reason and never stops the rest.
"""

from __future__ import annotations

import csv
import io
import random
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath

from models.errors import ImageRejected, InvalidRequest
from models.evaluation.picture_files import (
    TAR_DAMAGE,
    is_junk,
    lines,
    open_file,
    read_file,
    read_member,
    tar_members,
)


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """One picture: its name, the right label and where it lies (a path, or a number in the tar)."""

    name: str
    label: str
    place: Path | int


@dataclass(frozen=True, slots=True)
class Dataset:
    """Pictures of one source, in its own order, and all its labels in alphabetical order."""

    source: Path
    items: tuple[LabelledPicture, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """One picture's bytes, or why there are none."""

    item: LabelledPicture
    data: bytes
    problem: str | None = None


def find(source: Path) -> Dataset:
    """List what is in a folder, a tar (also compressed) or a CSV; underscores in class names are spaces.

    Raises InvalidRequest for what is not there, cannot be read, or holds no labelled pictures.
    """
    if source.is_dir():
        files = sorted(path for path in source.rglob("*") if path.is_file())
        items = by_folder([(path.relative_to(source), path) for path in files])
    elif source.suffix.lower() == ".csv":
        items = _by_csv(source)
    elif source.is_file():
        with _tar(source) as tar:
            members = [(PurePosixPath(m.name), i) for i, m in _listed(tar) if m.isfile()]
        items = by_folder(members)
    else:
        raise InvalidRequest(f"there is no folder or file {source}", field="dataset")
    if not items:
        raise InvalidRequest(f"{source} holds no pictures in class-named folders", field="dataset")
    return Dataset(source, tuple(items), tuple(sorted({item.label for item in items})))


def sample(dataset: Dataset, limit: int | None, *, seed: int = 0) -> Dataset:
    """At most `limit` pictures, drawn at random but the same ones for the same seed. The labels stay all."""
    if limit is None or limit >= len(dataset.items):
        return dataset
    drawn = random.Random(seed).sample(range(len(dataset.items)), limit)
    return replace(dataset, items=tuple(dataset.items[i] for i in sorted(drawn)))


def load(dataset: Dataset) -> Iterator[Loaded]:
    """The pictures' bytes, one at a time, in the order of `items`."""
    if dataset.items and isinstance(dataset.items[0].place, int):
        yield from _load_tar(dataset)
        return
    for item in dataset.items:
        try:
            yield Loaded(item, read_file(Path(str(item.place))))
        except ImageRejected as error:
            yield Loaded(item, b"", error.reason)
        except OSError as error:
            yield Loaded(item, b"", error.strerror or type(error).__name__)


def _load_tar(dataset: Dataset) -> Iterator[Loaded]:
    wanted = {item.place: item for item in dataset.items}
    with _tar(dataset.source) as tar:
        for number, member in _listed(tar):
            item = wanted.get(number)
            if item is None:
                continue
            try:
                yield Loaded(item, read_member(tar, member))
            except ImageRejected as error:
                yield Loaded(item, b"", error.reason)


def _tar(source: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(source, "r:*")
    except TAR_DAMAGE as error:
        raise InvalidRequest(f"{source} is no readable tar: {error}", field="dataset") from error


def _listed(tar: tarfile.TarFile) -> Iterator[tuple[int, tarfile.TarInfo]]:
    try:
        yield from tar_members(tar)
    except TAR_DAMAGE as error:
        raise InvalidRequest(f"{tar.name!r} is damaged: {error}", field="dataset") from error


def by_folder(places: Sequence[tuple[PurePath, Path | int]]) -> list[LabelledPicture]:
    """Files whose first folder is their class. A folder around everything is looked through."""
    paths = [
        (parts, place)
        for path, place in places
        if len(parts := [part for part in path.parts if part != "."]) > 1 and not any(map(is_junk, parts))
    ]
    around = 0
    while paths and all(
        len(parts) > around + 2 and parts[around] == paths[0][0][around] for parts, _ in paths
    ):
        around += 1
    return [
        LabelledPicture("/".join(parts), parts[around].replace("_", " ").strip(), place)
        for parts, place in paths
    ]


def _by_csv(source: Path) -> list[LabelledPicture]:
    try:
        with io.TextIOWrapper(open_file(source), encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(lines(file)) if row]
    except (OSError, ValueError, csv.Error) as error:
        raise InvalidRequest(f"{source} cannot be read as CSV: {error}", field="dataset") from error
    columns = [cell.strip().lower() for cell in rows[0]] if rows else []
    path_at, label_at = 0, 1
    if "path" in columns and "label" in columns:
        path_at, label_at = columns.index("path"), columns.index("label")
        rows = rows[1:]
    items = []
    for number, row in enumerate(rows, 1):
        if len(row) <= max(path_at, label_at) or not row[label_at].strip():
            raise InvalidRequest(f"row {number} of {source} has no path and label", field="dataset")
        items.append(LabelledPicture(row[path_at], row[label_at].strip(), source.parent / row[path_at]))
    return items
