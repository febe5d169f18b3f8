"""Bytes of pictures from files and tars, bounded, whatever the files turn out to be."""

from __future__ import annotations

import errno
import stat
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from models.errors import ImageRejected

MAX_FILE_BYTES: Final = 256 << 20
"""Bytes of one picture that are read at all; the decoder has its own, smaller limit."""
TAR_DAMAGE: Final = (tarfile.TarError, OSError, EOFError, zlib.error)
"""What reading a damaged tar may raise."""
_LEFT_BY_SYSTEMS: Final = ("__MACOSX", "Thumbs.db", "desktop.ini")


def is_junk(name: str) -> bool:
    """Whether a file or folder is hidden, or left behind by a system: never a person's picture."""
    return name.startswith(".") or name in _LEFT_BY_SYSTEMS


def read_file(path: Path) -> bytes:
    """Raises OSError, also for what is no regular file (a pipe or a device never ends), or ImageRejected."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    _check_size(status.st_size)
    with path.open("rb") as file:
        return _bounded(file)


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
