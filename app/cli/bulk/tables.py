"""Parquet files that hold pictures themselves, as Ray Data and the Hugging Face datasets write them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

from app.cli.batch.parquet import need
from app.cli.bulk.store import place_of
from models.errors import InvalidRequest

COLUMNS: Final = ("image", "bytes")
"""Binary, or a struct with a binary field `bytes` beside its `path`."""
NAMES: Final = ("path", "file")


@contextmanager
def _opened(url: str) -> Iterator[Any]:
    need()
    import pyarrow
    import pyarrow.parquet

    system, path = place_of(url)
    try:
        with system.open(path, "rb") as opened, pyarrow.parquet.ParquetFile(opened) as file:
            yield file
    except (OSError, pyarrow.ArrowException) as error:
        raise InvalidRequest(f"{url} cannot be read as Parquet: {error}") from error


def holds_pictures(url: str) -> bool:
    """Whether a Parquet file has one of COLUMNS."""
    with _opened(url) as file:
        return any(name in COLUMNS for name in file.schema_arrow.names)


def groups(url: str) -> Iterator[list[str]]:
    """The names of each row group's pictures: from a column of NAMES, else the file and the row's number."""
    with _opened(url) as file:
        named = next((name for name in file.schema_arrow.names if name in NAMES), None)
        row = 0
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            numbered = [f"{url}#{number}" for number in range(row, row + count)]
            row += count
            if named is None:
                yield numbered
                continue
            given = file.read_row_group(group, columns=[named]).column(0).to_pylist()
            yield [str(name) if name else number for name, number in zip(given, numbered, strict=True)]


def pictures(url: str, group: int, names: list[str], wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """The bytes of those of a row group that are `wanted`; `names` are as `groups` gave them."""
    with _opened(url) as file:
        column = next(name for name in file.schema_arrow.names if name in COLUMNS)
        values = file.read_row_group(group, columns=[column]).column(0)
        for name, value in zip(names, values, strict=True):
            if name in wanted:
                found = value.as_py()
                yield name, (found.get("bytes") if isinstance(found, dict) else found) or b""
