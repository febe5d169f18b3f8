"""Parquet files, by the optional pyarrow: lists of paths in, answers out. The only room that imports it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from app.extras import ExtraMissing
from models.errors import InvalidRequest
from models.evaluation.picture_files import open_file

if TYPE_CHECKING:
    import pyarrow

ROWS: Final = 10_000
"""Rows of one row group: written together, and held in memory together."""


def need() -> None:
    """Raises ExtraMissing when Parquet cannot be read or written here."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ExtraMissing("Parquet needs pyarrow: pip install 'candid[parquet]'") from error


def column(source: Path, names: Sequence[str]) -> Iterator[str]:
    """The texts of the first column that has one of `names`."""
    need()
    import pyarrow
    import pyarrow.parquet

    try:
        with open_file(source) as opened, pyarrow.parquet.ParquetFile(opened) as file:
            columns = file.schema_arrow.names
            name = columns[place_of([column.lower() for column in columns], names, source)]
            for batch in file.iter_batches(columns=[name]):
                yield from (str(value) for value in batch.column(0).to_pylist() if value)
    except (OSError, pyarrow.ArrowException) as error:
        raise InvalidRequest(f"{source} cannot be read as Parquet: {error}") from error


def place_of(columns: Sequence[str], names: Sequence[str], source: Path) -> int:
    """Where the first of `names` stands among `columns`."""
    for name in names:
        if name in columns:
            return columns.index(name)
    has = ", ".join(columns[:10]) or "none"
    raise InvalidRequest(f"{source} has no column {' or '.join(names)} (its columns: {has})")


def has_column(source: Path, name: str) -> bool:
    """Whether the file has such a column; False also for what is no Parquet."""
    need()
    import pyarrow
    import pyarrow.parquet

    try:
        with open_file(source) as opened, pyarrow.parquet.ParquetFile(opened) as file:
            return name in file.schema_arrow.names
    except (OSError, pyarrow.ArrowException):
        return False  # whoever reads it tells


def rows(source: Path) -> Iterator[dict[str, Any]]:
    """The answers that `write` wrote."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(source) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise InvalidRequest(f"{source} cannot be read as Parquet: {error}") from error


def names_in(file: BinaryIO, called: str) -> Iterator[tuple[str, str]]:
    """The path and `asked` of each row that `write_rows` wrote."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(file, columns=["path", "asked"])
        yield from zip(table["path"].to_pylist(), table["asked"].to_pylist(), strict=True)
    except (OSError, KeyError, pyarrow.ArrowException) as error:
        raise InvalidRequest(f"{called} is no output of candid: {error}") from error


def write(target: Path, answers: Iterable[Mapping[str, Any]], *, embeddings: bool = False) -> None:
    """A whole file or none: it takes its name when the last row is in it."""
    partial = target.with_name(f".{target.name}.writing")
    with partial.open("wb") as file:
        write_rows(file, answers, embeddings=embeddings)
    partial.replace(target)


def write_rows(file: BinaryIO, answers: Iterable[Mapping[str, Any]], *, embeddings: bool) -> None:
    """Rows of pictures: their vectors, or their rankings."""
    import pyarrow
    import pyarrow.parquet

    schema = _of_embeddings() if embeddings else _schema()
    group: list[dict[str, Any]] = []
    with pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:

        def flush() -> None:
            writer.write_table(pyarrow.Table.from_pylist(group, schema=schema))
            group.clear()

        for answer in answers:
            tree = answer.get("tree")
            group.append({**answer, "tree": json.dumps(tree) if isinstance(tree, dict) else tree})
            if len(group) == ROWS:
                flush()
        flush()


def _of_embeddings() -> pyarrow.Schema:
    import pyarrow as pa

    texts = [(name, pa.string()) for name in ("path", "model", "fingerprint", "error", "asked")]
    return pa.schema(
        [*texts, ("width", pa.int32()), ("height", pa.int32()), ("embedding", pa.list_(pa.float32()))]
    )


def _schema() -> pyarrow.Schema:
    import pyarrow as pa

    place = [("label", pa.string()), ("similarity", pa.float64()), ("probability", pa.float64())]
    return pa.schema(
        [
            ("path", pa.string()),
            ("label", pa.string()),
            ("probability", pa.float64()),
            ("similarity", pa.float64()),
            ("rejected", pa.bool_()),
            ("rejection_score", pa.float64()),
            ("ranking", pa.list_(pa.struct([*place, ("holds", pa.bool_())]))),
            ("tree", pa.string()),  # JSON
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("sorted_to", pa.string()),
            ("error", pa.string()),
            ("asked", pa.string()),
        ]
    )
