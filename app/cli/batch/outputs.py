"""Where answers are kept: CSV, JSON lines or Parquet, by the file's ending. An interrupted run is continued.

CSV and JSON lines are appended to, one physical line a picture, and handed to the system at once; a last line
that was cut off is dropped when the run goes on. Parquet cannot be appended to: answers gather as JSON lines
in `.NAME.partial` beside it and become the file when the run is over. Every row carries `asked`, a digest of
labels, model and options, so that answers to different questions never end up in one file.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

from app.cli.batch import embeddings, parquet
from models.errors import InvalidRequest

BEST: Final = ("label", "probability", "similarity")

ROW_BEGINS: Final = b'{"path": "'  # a line of JSON

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """What an output holds, and which formats can hold it."""

    endings: tuple[str, ...]
    row: Callable[[str, Mapping[str, Any]], Row]  # of a picture's name and answer
    gathered: Mapping[str, tuple[Callable[[Path], Iterator[Row]], Callable[[Path, Iterator[Row]], None]]]
    """Formats that cannot be appended to: how each is read and written."""


class Output:
    """Answers so far, by the picture's name, and a place for more."""

    def __init__(
        self,
        path: Path,
        *,
        asked: str,
        top_k: int | None = None,
        overwrite: bool = False,
        form: Form | None = None,
    ) -> None:
        self.path, self.asked, self._form = path, asked, form or ANSWERS
        ending = path.suffix.lower()
        self._gathered = self._form.gathered.get(ending)
        self._file = path.with_name(f".{path.name}.partial") if self._gathered else path
        self._columns = _columns(top_k or 1) if ending == ".csv" else None
        self._whole = 0  # bytes of whole lines that are there already
        if ending not in self._form.endings:
            raise InvalidRequest(f"{path}: an output ends in {', '.join(self._form.endings)}")
        if ending == ".parquet":
            parquet.need()
        if any(file.exists() and not file.is_file() for file in (path, self._file)):
            raise InvalidRequest(f"{path}: not a regular file")  # a pipe or a device is never read to its end
        try:
            if overwrite:
                path.unlink(missing_ok=True)
                self._file.unlink(missing_ok=True)
            self.done = dict(self._read())
            if self._file.exists():
                os.truncate(self._file, self._whole)  # what follows was being written when the run ended
            self._stream = self._file.open("ab")
            if self._columns and not self._stream.tell():
                self._write(_csv_line(self._columns))
        except OSError as error:
            raise InvalidRequest(f"{path}: {error.strerror or error}") from error

    def write(self, name: str, answer: Mapping[str, Any]) -> None:
        """Keep one picture's answer."""
        row = self._form.row(name, answer) | {"asked": self.asked}
        self.done[name] = row.get("sorted_to")
        if self._columns:
            self._write(_csv_line(_cells(row, self._columns)))
        else:
            self._write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")

    def finish(self) -> None:
        """Every picture has its row. Only what cannot be appended to has something left to do."""
        if self._gathered:
            self._stream.close()
            if self._file.stat().st_size or not self.path.exists():
                self._gathered[1](self.path, self._all())
            self._file.unlink()

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def _write(self, line: bytes) -> None:
        self._stream.write(line)
        self._stream.flush()

    def _all(self) -> Iterator[Row]:
        known = set()
        if self._gathered and self.path.exists():
            for row in self._gathered[0](self.path):
                known.add(row["path"])
                yield row
        with self._file.open("rb") as lines:
            # A run that ended just before it removed the gathered lines leaves them in both places.
            yield from (row for row in map(json.loads, lines) if row["path"] not in known)

    def _read(self) -> Iterator[tuple[str, str | None]]:
        """Names of the pictures that have a row, and where each was sorted to."""
        if self._gathered and self.path.exists():
            yield from map(self._known, self._gathered[0](self.path))
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            lines = self._lines(file)
            if not self._columns:
                yield from map(self._known, map(self._parsed, lines))
                return
            reader = csv.DictReader(line.decode(errors="replace") for line in lines)
            if reader.fieldnames and list(reader.fieldnames) != list(self._columns):
                raise self._foreign()
            yield from map(self._known, reader)

    def _lines(self, file: BinaryIO) -> Iterator[bytes]:
        """Whole lines. A last one without its end is dropped, if it can be ours."""
        for line in file:
            if not line.endswith(b"\n"):
                begins = _csv_line(self._columns) if self._columns else ROW_BEGINS
                if not self._whole and not begins.startswith(line[: len(begins)]):
                    raise self._foreign()
                return
            yield line
            self._whole += len(line)

    def _parsed(self, line: bytes) -> Any:
        try:
            return json.loads(line)
        except ValueError as error:
            raise self._foreign() from error

    def _known(self, row: Any) -> tuple[str, str | None]:
        if not isinstance(row, dict) or row.get("asked") != self.asked or not row.get("path"):
            raise self._foreign()
        return row["path"], row.get("sorted_to") or None

    def _foreign(self) -> InvalidRequest:
        return InvalidRequest(
            f"{self.path} is there already and does not answer this question (other labels, another model or "
            "other options, or no output of candid): name another file, or --overwrite it"
        )


def check_apart(output: Path, sources: Iterable[str], what: str) -> None:
    """Raises InvalidRequest for an output that is one of the sources."""
    if any(Path(source).resolve() == output.resolve() for source in sources):
        raise InvalidRequest(f"{output} is read from: write the {what} to another file")


def _row(name: str, answer: Mapping[str, Any]) -> Row:
    """One picture's answer, flat: the best label first, then the rest."""
    best = (answer.get("ranking") or [{}])[0]
    error = answer.get("error")
    row = {"path": name} | {key: best.get(key) for key in BEST}
    if "rejection" in answer:
        row["rejected"] = answer["rejection"]["rejected"]
        row["rejection_score"] = answer["rejection"]["score"]
    row |= {key: answer[key] for key in ("ranking", "tree", "width", "height", "sorted_to") if key in answer}
    return row | ({"error": f"{error['code']}: {error['message']}"} if error else {})


ANSWERS: Final = Form(
    (".csv", ".jsonl", ".ndjson", ".parquet"), _row, {".parquet": (parquet.rows, parquet.write)}
)
EMBEDDINGS: Final = Form(
    embeddings.ENDINGS,
    embeddings.row_of,
    {
        ".parquet": (parquet.rows, partial(parquet.write, embeddings=True)),
        ".npy": (embeddings.npy_rows, embeddings.write_npy),
    },
)


def _columns(places: int) -> tuple[str, ...]:
    more = [f"{key}_{place}" for place in range(2, places + 1) for key in BEST]
    last = ("rejected", "rejection_score", "holds", "tree", "width", "height", "sorted_to", "error", "asked")
    return ("path", *BEST, *more, *last)


def _cells(row: Row, columns: tuple[str, ...]) -> list[str]:
    ranking = row.get("ranking") or []
    cells = dict(row)
    for place, ranked in enumerate(ranking[1:], 2):
        cells |= {f"{key}_{place}": ranked[key] for key in BEST}
    cells["holds"] = " | ".join(ranked["label"] for ranked in ranking if ranked.get("holds"))
    sure = (row.get("tree") or {}).get("answer")
    cells["tree"] = sure["label"] if sure else None
    return [_cell(cells.get(column)) for column in columns]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    # One picture, one physical line: only so can a cut-off line be told from a whole one.
    return " ".join(str(value).splitlines())


def _csv_line(cells: Any) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()
