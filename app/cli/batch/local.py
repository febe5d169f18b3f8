"""A model in this process as the one who answers, in the words of the service. Is handed a loaded one."""

from __future__ import annotations

import sys
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.cli.batch.embeddings import Embedded, check_model
from app.cli.batch.run import Pending
from app.cli.label_set_argument import prepare
from app.requests.classify import Explaining
from app.requests.question import Question
from app.service.explanation import explainer
from app.service.rendering import about, answer_of
from app.settings import Settings
from models.errors import EncoderFailed, ImageRejected, InvalidRequest

if TYPE_CHECKING:
    from models import LoadOptions
    from models.batching.image_embeddings import EmbeddedImage
    from models.classifier import Classifier


class Local:
    """One loaded model and one question."""

    def __init__(
        self,
        classifier: Classifier,
        question: Question,
        settings: Settings,
        explaining: Explaining | None = None,
    ) -> None:
        self._classifier, self._top_k = classifier, question.top_k
        self._explainer = explainer(classifier, explaining, 1) if explaining else None
        self._scorer = prepare(question, classifier, settings)
        self.warnings = self._scorer.warnings
        self.common = {"model": classifier.info.name, **about(self._scorer)}

    def ask(self, data: bytes) -> Pending:
        """Begin with one picture; what is returned waits for its answer, or its own `error`."""
        if self._explainer is not None:
            future = self._classifier.embed_places(data, overlay=self._explainer.asked.overlay)
        else:
            future = self._classifier.embed_image(data)
        return lambda: self._answer(future)

    def close(self) -> None:
        self._classifier.close()

    def score(self, embedded: Embedded) -> dict[str, Any]:
        """The answer for a picture that was embedded before."""
        if self._explainer is not None:
            raise InvalidRequest(
                f"{embedded.name}: --explain needs the picture; its vector does not say where"
            )
        info = self._classifier.info
        check_model(embedded, embedded.name, info.name, info.fingerprint)
        size = {"width": embedded.width, "height": embedded.height} if embedded.width else {}
        return size | answer_of(self._scorer, embedded.vector, self._top_k)

    def _answer(self, future: Future[EmbeddedImage]) -> dict[str, Any]:
        embedded = answered(self._classifier, future)
        if isinstance(embedded, dict):
            return embedded
        shown = answer_of(self._scorer, embedded.vector, self._top_k)
        if self._explainer is not None:
            shown["explanation"] = self._explainer.explain(self._scorer, embedded, shown["ranking"])
        return {"width": embedded.width, "height": embedded.height, **shown}


def answered(classifier: Classifier, future: Future[EmbeddedImage]) -> EmbeddedImage | dict[str, Any]:
    """A picture's embedding, or its own `error`."""
    try:
        return future.result()
    except ImageRejected as error:
        return {"error": {"code": error.code, "message": error.message, "reason": error.reason}}
    except EncoderFailed as error:
        if not classifier.ready():
            raise
        return {"error": {"code": error.code, "message": error.message}}  # this picture's own fault


def for_many(options: LoadOptions) -> LoadOptions:
    """Those of a run: no picture is waited for by itself, so batches are filled, and none comes twice.

    Whoever runs it bounds what is under way, so the queue has room for all of it.
    """
    serving = replace(options.serving, fill_batches=True, image_cache_bytes=0, max_queue=sys.maxsize)
    return replace(options, serving=serving)
