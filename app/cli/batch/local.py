"""A model in this process as the one who answers, in the words of the service. Is handed a loaded one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.cli.batch.run import Pending
from app.cli.label_set_argument import prepare
from app.requests.question import Question
from app.service.rendering import ranked, shown, told_of
from app.settings import Settings
from models.errors import EncoderFailed, ImageRejected

if TYPE_CHECKING:
    from models import LoadOptions
    from models.batching.image_embeddings import EmbeddedImage
    from models.classifier import Classifier

Way = tuple[Callable[[Any], dict[str, Any]], dict[str, Any], Sequence[str]]
"""From a vector to its answer; what is told once for all pictures; warnings."""


class Local:
    """One loaded model and one question."""

    def __init__(self, classifier: Classifier, make: Callable[[Classifier], Way]) -> None:
        self._classifier = classifier
        self._way, told, self.warnings = make(classifier)
        self.told = {"model": classifier.info.name, **told}

    def ask(self, data: bytes) -> Pending:
        """Begin with one picture; what is returned waits for its answer, or its own `error`."""
        future = self._classifier.embed_image(data)
        return lambda: self._answer(future)

    def close(self) -> None:
        self._classifier.close()

    def _answer(self, future: Future[EmbeddedImage]) -> dict[str, Any]:
        try:
            embedded = future.result()
        except ImageRejected as error:
            return {"error": {"code": error.code, "message": error.message, "reason": error.reason}}
        except EncoderFailed as error:
            if not self._classifier.ready():
                raise
            return {"error": {"code": error.code, "message": error.message}}  # this picture's own fault
        return {"width": embedded.width, "height": embedded.height, **self._way(embedded.vector)}


def for_many(options: LoadOptions) -> LoadOptions:
    """Those of a run: no picture is waited for by itself, so batches are filled, and none comes twice.

    Whoever runs it bounds what is under way, so the queue has room for all of it.
    """
    serving = replace(options.serving, fill_batches=True, image_cache_bytes=0, max_queue=sys.maxsize)
    return replace(options, serving=serving)


def plain(labels: Sequence[str], templates: Sequence[str], top_k: int | None) -> Callable[[Classifier], Way]:
    """Labels and nothing else."""

    def way(classifier: Classifier) -> Way:
        matrix = classifier.label_matrix(labels, templates=templates).result()

        def answer(vector: Any) -> dict[str, Any]:
            return {"ranking": [ranked(each) for each in classifier.rank(vector, matrix, top_k=top_k)]}

        return answer, {}, matrix.warnings

    return way


def special(asked: Question, top_k: int | None, settings: Settings) -> Callable[[Classifier], Way]:
    """What goes beyond plain labels, by the same code as the service's."""

    def way(classifier: Classifier) -> Way:
        prepared = prepare(asked, classifier, settings)
        return lambda vector: shown(prepared, top_k, vector), told_of(prepared), prepared.warnings

    return way
