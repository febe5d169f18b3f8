"""Pictures and parts in folders and object stores, by fsspec: a path, or a URL such as s3://bucket/folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from app.cli.batch.sources import ENDINGS
from models.errors import ImageRejected, InvalidRequest
from models.evaluation.picture_files import MAX_FILE_BYTES, is_junk

PART: Final = ".parquet"


def is_url(name: str) -> bool:
    return "://" in name


def place_of(url: str) -> tuple[Any, str]:
    """The file system and the path in it. Raises InvalidRequest for one that nobody here can speak to."""
    from fsspec.core import url_to_fs

    try:
        system, path = url_to_fs(url)
    except (ImportError, ValueError, OSError) as error:
        raise InvalidRequest(f"{url}: {error}") from error
    return system, path


def pictures(url: str) -> Iterator[str]:
    """URLs of the pictures in a folder and those below it, by name; of a picture, its own."""
    system, path = place_of(url)
    try:
        found = sorted(system.find(path))
    except OSError as error:
        raise InvalidRequest(f"{url}: {error}") from error
    if not found:
        raise InvalidRequest(f"{url}: there is no such file or folder")
    for name in found:
        inside = PurePosixPath(name)
        below = inside.parts[len(PurePosixPath(path).parts) :]
        if inside.suffix.lower() in ENDINGS and not any(map(is_junk, below)):
            yield system.unstrip_protocol(name)


def read(url: str) -> bytes:
    """Raises OSError, or ImageRejected for what is too large."""
    system, path = place_of(url)
    with system.open(path, "rb") as file:
        data: bytes = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ImageRejected("too_many_bytes", f"the file exceeds {MAX_FILE_BYTES} bytes")
    return data


class Parts:
    """A folder of Parquet files. Each is whole or not there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._system, self._path = place_of(url)

    def make(self) -> None:
        """Raises InvalidRequest for a place that is no folder and cannot become one."""
        try:
            self._system.makedirs(self._path, exist_ok=True)
        except OSError as error:
            raise InvalidRequest(f"{self.url}: {error.strerror or error}") from error

    def names(self) -> list[str]:
        """Of those that are there."""
        self._system.invalidate_cache()
        found = self._system.find(self._path, maxdepth=1)
        return [PurePosixPath(name).name for name in found if self._is_part(PurePosixPath(name).name)]

    def has(self, name: str) -> bool:
        return bool(self._system.exists(f"{self._path}/{name}"))

    def open(self, name: str) -> Any:
        return self._system.open(f"{self._path}/{name}", "rb")

    def write(self, name: str, data: bytes) -> None:
        """On a disk under another name first; an object store shows an object when it is whole."""
        target = f"{self._path}/{name}"
        if "file" in self._system.protocol:
            partial = f"{self._path}/.{name}.writing"
            self._system.pipe_file(partial, data)
            self._system.mv(partial, target)
        else:
            self._system.pipe_file(target, data)

    def remove(self) -> None:
        """All parts."""
        for name in self.names():
            self._system.rm_file(f"{self._path}/{name}")

    @staticmethod
    def _is_part(name: str) -> bool:
        return name.endswith(PART) and not name.startswith(".")
