"""Pictures by name, from files, folders, globs, tars, lists, standard input; each is read in its turn.

Nothing is unpacked to disk, and a source is gone through as it is listed, so the first picture of a large
folder is not kept waiting for its last. Decodes nothing: in folders and tars a file's ending says whether it
is a picture; what is named directly, or in a list, always counts as one.
"""

from __future__ import annotations

import csv
import glob
import io
import os
import sys
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from app.cli.batch import embeddings, parquet
from app.cli.batch.embeddings import Embedded, is_embeddings
from models.errors import ImageRejected, InvalidRequest
from models.evaluation.picture_files import (
    MAX_FILE_BYTES,
    TAR_DAMAGE,
    is_junk,
    lines,
    open_file,
    read_file,
    read_member,
    tar_members,
)

READABLE: Final = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".png",
    ".apng",
    ".webp",
    ".gif",
    ".bmp",
    ".dib",
    ".avif",
)
REFUSED: Final = (".tif", ".tiff", ".heic", ".heif", ".jp2", ".jxl")  # better told than passed over
ENDINGS: Final = frozenset(READABLE + REFUSED)
TARS: Final = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
LISTS: Final = (".csv", ".tsv", ".parquet")
COLUMNS: Final = ("path", "file")
STDIN: Final = "-"


@dataclass(frozen=True, slots=True)
class SourcePicture:
    """One picture: its name, where it lies (None: in a tar, or standard input), and its bytes when asked.

    What is in a tar must be read before the next picture is asked for.
    """

    name: str
    path: Path | None
    read: Callable[[], bytes]  # raises OSError or ImageRejected
    embedded: Embedded | None = None  # in place of the bytes: from a file of embeddings


@dataclass(frozen=True, slots=True)
class Sources:
    """All pictures that a command names, each once."""

    arguments: tuple[str, ...]
    from_stdin: bool = False  # paths, one a line
    leave_out: Path | None = None  # a folder that is not looked into: where pictures are sorted to

    @property
    def countable(self) -> bool:
        """Whether they can be counted beside the work: not what must be unpacked, or comes only once."""
        tars = any(argument.lower().endswith(TARS) for argument in self.arguments)
        return not (self.from_stdin or STDIN in self.arguments or tars)

    def check(self) -> None:
        """Raises InvalidRequest for what is not there, before any work is done."""
        if self.from_stdin and STDIN in self.arguments:
            raise InvalidRequest("standard input is either one picture (-) or a list of paths (--from-stdin)")
        if not self.arguments and not self.from_stdin:
            raise InvalidRequest("name pictures, folders, tars or lists, or use --from-stdin")
        for argument in self.arguments:
            if argument != STDIN and not _is_there(argument) and not _globbed(argument):
                raise InvalidRequest(f"{argument}: there is no such file or folder")
            if argument.lower().endswith(".parquet"):
                parquet.need()

    def __iter__(self) -> Iterator[SourcePicture]:
        names: set[str] = set()
        for found in self._all():
            if found.name not in names:
                names.add(found.name)
                yield found

    def _all(self) -> Iterator[SourcePicture]:
        for argument in self.arguments:
            if argument == STDIN:
                yield SourcePicture(STDIN, None, _standard_input)
            elif _is_there(argument):
                yield from self._one(Path(argument))
            else:
                for match in _globbed(argument):
                    yield from self._one(Path(match))
        if self.from_stdin:
            try:
                for line in lines(sys.stdin.buffer):
                    path = os.fsdecode(line.rstrip(b"\r\n"))
                    if path:
                        yield _file(Path(path))
            except ValueError as error:
                raise InvalidRequest(f"standard input is no list of paths: {error}") from error

    def _one(self, path: Path) -> Iterator[SourcePicture]:
        lower = path.name.lower()
        if path.is_dir():
            yield from self._folder(path)
        elif lower.endswith(TARS):
            yield from _tar(path)
        elif is_embeddings(path):
            for each in embeddings.read(path):
                lies = Path(each.name)
                yield SourcePicture(each.name, lies if lies.is_file() else None, bytes, each)
        elif lower.endswith(LISTS):
            for row in _listed(path):
                yield _file(path.parent / row)
        else:
            yield _file(path)

    def _folder(self, top: Path) -> Iterator[SourcePicture]:
        out = self.leave_out.resolve() if self.leave_out else None
        closed: list[OSError] = []  # folders that cannot be listed, each told as one bad file
        for folder, below, files in os.walk(top, onerror=closed.append):
            yield from map(_closed, closed)
            closed.clear()
            here = Path(folder)
            below[:] = sorted(
                name
                for name in below
                if not is_junk(name) and not (out is not None and (here / name).resolve() == out)
            )
            for name in sorted(files):
                if not is_junk(name) and Path(name).suffix.lower() in ENDINGS:
                    yield _file(here / name)
        yield from map(_closed, closed)


def printable(name: str) -> str:
    """A name on one line that any file and any terminal can carry; what cannot be shown is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)


def _file(path: Path) -> SourcePicture:
    return SourcePicture(printable(str(path)), path, partial(read_file, path))


def _standard_input() -> bytes:
    data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ImageRejected("too_many_bytes", f"standard input exceeds {MAX_FILE_BYTES} bytes")
    return data


def _is_there(argument: str) -> bool:
    try:
        return Path(argument).exists()
    except OSError as error:  # in a folder that may not be looked into
        raise InvalidRequest(f"{argument}: {error.strerror}") from error


def _closed(error: OSError) -> SourcePicture:
    return SourcePicture(printable(str(error.filename)), None, partial(_raise, error))


def _tar(path: Path) -> Iterator[SourcePicture]:
    seen: Counter[str] = Counter()
    try:
        with open_file(path) as file, tarfile.open(fileobj=file, mode="r:*") as tar:
            for _, member in tar_members(tar):
                inside = PurePosixPath(member.name)
                wanted = inside.suffix.lower() in ENDINGS and not any(map(is_junk, inside.parts))
                if not wanted or not member.isfile():
                    continue
                seen[member.name] += 1
                again = f"#{seen[member.name]}" if seen[member.name] > 1 else ""
                yield SourcePicture(
                    printable(f"{path}/{inside}{again}"), None, partial(read_member, tar, member)
                )
    except TAR_DAMAGE as error:
        # As one bad file: what was found before it is answered, and so are the other sources.
        problem = ImageRejected("damaged", f"the tar is damaged, or is none: {error}")
        yield SourcePicture(printable(str(path)), None, partial(_raise, problem))


def _raise(error: Exception) -> bytes:
    raise error


def _listed(source: Path) -> Iterator[str]:
    """The paths of a list, from its column `path` or `file`."""
    if source.suffix.lower() == ".parquet":
        yield from parquet.column(source, COLUMNS)
        return
    try:
        file = io.TextIOWrapper(open_file(source), "utf-8-sig", "surrogateescape", newline="")
        with file:
            rows = csv.reader(lines(file), delimiter="\t" if source.suffix.lower() == ".tsv" else ",")
            head = next(rows, [])
            at = parquet.place_of([cell.strip().lower() for cell in head], COLUMNS, source)
            yield from (row[at] for row in rows if len(row) > at and row[at].strip())
    except (OSError, ValueError, csv.Error) as error:
        raise InvalidRequest(f"{source} cannot be read as a list: {error}") from error


def _globbed(pattern: str) -> list[str]:
    # Not Path.glob: a shell's pattern may be absolute, and hidden files are not meant by a star.
    return sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else []  # noqa: PTH207
