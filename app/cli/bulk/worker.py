"""An actor of Ray Data: a model, and the blocks that it answers, each into a part of its own."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app.cli.batch import parquet
from app.cli.batch.outputs import ANSWERS, EMBEDDINGS, Row
from app.cli.batch.run import Asker, begun
from app.cli.bulk.blocks import Block
from app.cli.bulk.store import Parts
from models.batching.read_ahead import read_ahead
from models.errors import CandidError


class Worker:
    """Loads the model with its first block. `start` is what the command without --ray calls, too."""

    def __init__(
        self, start: Callable[[], Asker], parts: Parts, vectors: bool, asked: str, ahead: int
    ) -> None:
        self._start = start
        self._asker: Asker | None = None
        self._parts, self._vectors, self._asked, self._ahead = parts, vectors, asked, ahead

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """One block, as JSON, to how many pictures it had and how many could not be read, or `refused`: why.

        A block that was begun by an actor that is gone is done again, or found done.
        """
        try:
            self._asker = self._asker or self._start()
            block = Block(**json.loads(row["block"]))
            failed = 0 if self._parts.has(block.part) else self._answer(self._asker, block)
        except CandidError as error:
            return {"done": 0, "failed": 0, "warnings": "[]", "refused": error.message}
        warnings = json.dumps(list(self._asker.warnings))
        return {"done": len(block.names), "failed": failed, "warnings": warnings, "refused": ""}

    def _answer(self, asker: Asker, block: Block) -> int:
        """Write its part; how many could not be read."""
        rows = list(self._rows(asker, block))
        file = io.BytesIO()
        parquet.write_rows(file, rows, embeddings=self._vectors)
        self._parts.write(block.part, file.getvalue())
        return sum(1 for one in rows if one.get("error"))

    def _rows(self, asker: Asker, block: Block) -> Iterator[Row]:
        form = EMBEDDINGS if self._vectors else ANSWERS
        for found, wait in read_ahead(begun(asker, block.pictures()), pictures=self._ahead):
            yield form.row(found.name, wait()) | {"asked": self._asked}
