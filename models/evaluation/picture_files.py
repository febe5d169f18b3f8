"""Bytes from files and tars, bounded, whatever the files turn out to be."""

from __future__ import annotations

import errno
import os
import stat
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, AnyStr, BinaryIO, Final

from models.errors import ImageRejected

MAX_FILE_BYTES: Final = 256 << 20
"""Bytes of one picture that are read at all; the decoder has its own, smaller limit."""
TAR_DAMAGE: Final = (tarfile.TarError, OSError, EOFError, zlib.error)
"""What reading a damaged tar may raise."""
MAX_LINE_CHARS: Final = 1 << 20
"""Of one line of a list: many times the longest path."""
_LEFT_BY_SYSTEMS: Final = ("__MACOSX", "Thumbs.db", "desktop.ini")


def is_junk(name: str) -> bool:
    """Whether a file or folder is hidden, or left behind by a system: never a person's picture."""
    return name.startswith(".") or name in _LEFT_BY_SYSTEMS


def open_file(path: Path) -> BinaryIO:
    """Raises OSError, also for what is no regular file: a pipe or a device never ends."""
    try:
        mode = path.stat().st_mode
    except ValueError as error:  # a NUL character
        raise OSError(errno.EINVAL, "not a path", str(path)) from error
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.open("rb")


def read_file(path: Path) -> bytes:
    """Raises OSError as `open_file` does, or ImageRejected."""
    with open_file(path) as file:
        _check_size(os.fstat(file.fileno()).st_size)
        return _bounded(file)


def lines(file: IO[AnyStr]) -> Iterator[AnyStr]:
    """Lines of a list. Raises ValueError for one that is far too long to be part of one."""
    while line := file.readline(MAX_LINE_CHARS):
        if len(line) == MAX_LINE_CHARS:
            raise ValueError(f"a line has {MAX_LINE_CHARS} characters or more")
        yield line


def tar_members(tar: tarfile.TarFile) -> Iterator[tuple[int, tarfile.TarInfo]]:
    """Every member with its number. Each is to be read before the next is asked for. Raises TAR_DAMAGE."""
    for numbered in enumerate(tar):
        yield numbered
        tar.members = []  # type: ignore[attr-defined]  # else all headers are kept in memory


def read_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Raises ImageRejected when it is too large, or the tar damaged."""
    _check_size(member.size)
    try:
        file = tar.extractfile(member)
        if file is None:
            raise ImageRejected("damaged", "it is no file")
        with file:
            return _bounded(file)
    except TAR_DAMAGE as error:
        raise ImageRejected("damaged", f"the tar is damaged: {error}") from error


def _bounded(file: IO[bytes]) -> bytes:
    data = file.read(MAX_FILE_BYTES + 1)
    _check_size(len(data))  # it may have grown, or have told no size
    return data


def _check_size(nbytes: int) -> None:
    if nbytes > MAX_FILE_BYTES:
        raise ImageRejected("too_many_bytes", f"the file exceeds {MAX_FILE_BYTES} bytes")
