"""Files of embeddings, as `candid embed` writes them and the other commands read them in place of pictures.

JSON lines and Parquet hold a row a picture. NAME.npy holds the vectors alone, (N, D) float32, and its rows
stand in NAME.npy.jsonl beside it: line i says whose vector i is. Pictures that could not be read have a row
with their `error` and no vector; in an .npy they are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.cli.batch import parquet
from models.errors import InvalidRequest
from models.evaluation.picture_files import lines, open_file

ENDINGS: Final = (".npy", ".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True, slots=True)
class Embedded:
    """One row of such a file."""

    name: str
    vector: NDArray[np.float32]  # (D,), unit norm
    width: int | None  # px; None of a text
    height: int | None
    fingerprint: str  # of the weights that made it


def row_of(name: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """What is written of one picture or text."""
    error = answer.get("error")
    row = {"path": name} | {key: value for key, value in answer.items() if key != "error"}
    return row | ({"error": f"{error['code']}: {error['message']}"} if error else {})


def is_embeddings(path: Path) -> bool:
    """Whether a command's argument is such a file, not a list of pictures."""
    ending = path.suffix.lower()
    return ending in ENDINGS and (ending != ".parquet" or parquet.has_column(path, "embedding"))


def read(path: Path) -> Iterator[Embedded]:
    """The rows that have a vector. Raises InvalidRequest for what `candid embed` did not write."""
    rows = {".npy": npy_rows, ".parquet": parquet.rows}.get(path.suffix.lower(), _json_rows)
    number = 0
    for number, row in enumerate(rows(path), 1):
        if row.get("error"):
            continue
        try:
            vector = np.asarray(row["embedding"], dtype=np.float32)
            if vector.ndim != 1 or not abs(float(np.linalg.norm(vector)) - 1) < 0.01:
                raise ValueError
            yield Embedded(row["path"], vector, row.get("width"), row.get("height"), row["fingerprint"])
        except (KeyError, TypeError, ValueError):
            raise InvalidRequest(f"{path}: row {number} is no embedding that candid embed wrote") from None
    if not number:
        raise InvalidRequest(f"{path} holds no embeddings")


def check_model(embedded: Embedded, source: str, name: str, fingerprint: str) -> None:
    """Vectors of other weights do not compare with a model's words."""
    if embedded.fingerprint != fingerprint:
        raise InvalidRequest(f"{source}: its embeddings are of another model than {name}; embed it anew")


def npy_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows with their vectors."""
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidRequest(f"{path} cannot be read as .npy: {error}") from error
    beside = _rows_file(path)
    if not beside.is_file():
        raise InvalidRequest(f"{beside} is not there: it says whose vectors {path} holds")
    count = 0
    for count, row in enumerate(_json_rows(beside), 1):
        if count > len(vectors):
            break
        yield row | {"embedding": vectors[count - 1]}
    if count != len(vectors):
        raise InvalidRequest(f"{path} holds {len(vectors)} vectors, and {beside} another number of rows")


def write_npy(target: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Vectors and rows, each file whole or not there."""
    vectors, beside = target.with_name(f".{target.name}.writing"), _rows_file(target)
    partial = beside.with_name(f".{beside.name}.writing")
    found: list[NDArray[np.float32]] = []
    with partial.open("w", encoding="utf-8") as file:
        for row in rows:
            if not row.get("error"):
                found.append(np.asarray(row["embedding"], dtype=np.float32))
                fields = {key: value for key, value in row.items() if key != "embedding"}
                file.write(json.dumps(fields, ensure_ascii=False) + "\n")
    with vectors.open("wb") as whole:
        np.save(whole, np.stack(found) if found else np.zeros((0, 0), dtype=np.float32))
    partial.replace(beside)
    vectors.replace(target)


def _rows_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.jsonl")


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with open_file(path) as file:
            for number, line in enumerate(lines(file), 1):
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError(f"line {number} is no object")
                yield row
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{path} cannot be read as JSON lines: {error}") from error
