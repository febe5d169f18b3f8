"""A model in this process that answers with vectors, for `candid embed`; and texts as a source."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from app.cli.batch.embeddings import Embedded, check_model
from app.cli.batch.local import answered
from app.cli.batch.run import Pending
from app.cli.batch.sources import SourcePicture
from models.errors import InvalidRequest
from models.evaluation.picture_files import lines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.classifier import Classifier

DIGITS: Final = 8
"""Of a number in JSON: float32 has no more than nine."""


class Embedder:
    """One loaded model."""

    def __init__(self, classifier: Classifier, *, texts: bool) -> None:
        self._classifier, self._texts = classifier, texts
        info = classifier.info
        self.common = {"model": info.name, "fingerprint": info.fingerprint}
        self.warnings: list[str] = []

    def ask(self, data: bytes) -> Pending:
        """Begin with one picture or text; what is returned waits for its vector, or its own `error`."""
        if self._texts:
            rows = self._classifier.embed_texts([data.decode()])
            return lambda: self._row(rows.result()[0])
        future = self._classifier.embed_image(data)

        def wait() -> dict[str, Any]:
            embedded = answered(self._classifier, future)
            if isinstance(embedded, dict):
                return embedded
            return {"width": embedded.width, "height": embedded.height} | self._row(embedded.vector)

        return wait

    def score(self, embedded: Embedded) -> dict[str, Any]:
        """A vector that is there already goes from one format into another."""
        check_model(embedded, embedded.name, str(self.common["model"]), str(self.common["fingerprint"]))
        return {"width": embedded.width, "height": embedded.height} | self._row(embedded.vector)

    def close(self) -> None:
        self._classifier.close()

    def _row(self, vector: NDArray[Any]) -> dict[str, Any]:
        return self.common | {"embedding": [float(f"{number:.{DIGITS}g}") for number in vector.tolist()]}


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts that a command names, each once: arguments, and lines of standard input."""

    arguments: tuple[str, ...]
    from_stdin: bool = False

    countable: bool = False

    def check(self) -> None:
        """Raises InvalidRequest for none, and for what cannot be embedded."""
        if not self.arguments and not self.from_stdin:
            raise InvalidRequest("name texts, or use --from-stdin")
        if not all(text.strip() for text in self.arguments):
            raise InvalidRequest("a text is empty")

    def __iter__(self) -> Iterator[SourcePicture]:
        for text in dict.fromkeys((*self.arguments, *(_stdin() if self.from_stdin else ()))):
            yield SourcePicture(text, None, partial(_encoded, text))


def _stdin() -> Iterator[str]:
    try:
        yield from (text for line in lines(sys.stdin.buffer) if (text := line.decode().strip()))
    except ValueError as error:
        raise InvalidRequest(f"standard input is no list of texts: {error}") from error


def _encoded(text: str) -> bytes:
    return text.encode()
