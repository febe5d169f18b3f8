"""The way from a classify request to its answers: embed, score, render; whichever way they are sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.http.errors import detail_of
from app.requests.body import offload_many
from app.requests.classify import ClassifyRequest
from app.requests.limits import check_places
from app.requests.vectors import vectors_of
from app.service.embedding import embed_each
from app.service.explanation import explainer
from app.service.label_set_scorers import LabelSetScorers
from app.service.rendering import OneList, about, answer_of, to_json
from app.service.scorer import LabelSetScorer
from app.service.sizes import ranking_bytes
from app.tracing.steps import note

if TYPE_CHECKING:
    from models.batching.image_embeddings import EmbeddedImage
    from models.classifier import Classifier


class Answering:
    """One request. Ask for its answers once, then for what holds for all of them."""

    def __init__(
        self,
        scorers: LabelSetScorers,
        classifier: Classifier,
        asked: ClassifyRequest,
        started: float,
        reserve: Callable[[int], None],
    ) -> None:
        self._scorers, self._classifier, self._asked = scorers, classifier, asked
        self._started = started  # time.perf_counter()
        self._reserve = reserve  # takes bytes; raises when there is no room for them
        self._slowest = {"decode": 0.0, "queue": 0.0, "encode": 0.0}  # ms
        self._scorer: LabelSetScorer | None = None
        explaining = asked.explaining
        self._explainer = explainer(classifier, explaining, len(asked.images)) if explaining else None

    async def document(self, deadline: float) -> bytes:
        """All answers as one JSON document, in the order of the pictures."""
        made: OneList | None = None
        async with aclosing(self.results(deadline, numbered=False)) as answers:
            async for index, result in answers:
                made = made or OneList(self._head(), "results")
                made.add(index, result)
        assert made is not None, "a request has a picture or a vector"
        return made.end(self._tail())

    def last_line(self) -> bytes:
        """What follows the results where each is a line."""
        return to_json(self._head() | self._tail())

    async def results(self, deadline: float, *, numbered: bool) -> AsyncGenerator[tuple[int, bytes], None]:
        """Each picture's index and its result as JSON, as soon as it is ready; vectors in their order.

        Each is scored and rendered by itself, so a request whose time is up stops after the one at hand.
        """
        images, embeddings = self._asked.images, self._asked.embeddings
        at_once = 1 if numbered else self._pictures  # lines are sent one by one
        question = self._asked.question
        await self._make_room(question.names, question.is_tree, at_once)
        dim = self._classifier.info.embed_dim

        def head(index: int, name: str | None) -> dict[str, Any]:
            return ({"index": index} if numbered else {}) | {"name": name}

        # Both start now: the encoder takes pictures and prompts in turn.
        making = asyncio.create_task(self._make(deadline, at_once))
        try:
            vectors = await offload_many(len(embeddings) * dim // 8, vectors_of, embeddings, dim)
            embedding = embed_each(self._classifier, images, deadline, self._asked.explaining)
            async with aclosing(embedding) as outcomes:
                async for index, outcome in outcomes:
                    shown = head(index, images[index].name)
                    if isinstance(outcome, Exception):
                        if len(images) == 1:
                            raise outcome
                        await making  # labels that cannot be used are told first
                        yield index, to_json(shown | {"error": detail_of(outcome)})
                        continue
                    self._time(outcome)
                    shown |= {"width": outcome.width, "height": outcome.height}
                    yield index, await self._result(await making, shown, outcome.vector, outcome)
            for index, vector in enumerate(vectors):
                yield index, await self._result(await making, head(index, None), vector)
            await making
        finally:
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)  # so that no error goes unseen

    async def _make(self, deadline: float, at_once: int) -> LabelSetScorer:
        question = self._asked.question
        began = time.monotonic()
        scorer = await self._scorers.scorer_for(self._classifier, question, deadline)
        note("labels", began, labels=len(scorer.labels))
        check_places(scorer.places(question.top_k), self._pictures)
        if question.name is not None:
            await self._make_room(scorer.labels, scorer.is_tree, at_once)
        self._scorer = scorer
        return scorer

    async def _make_room(self, labels: Sequence[str], is_tree: bool, pictures: int) -> None:
        """For the answers to so many pictures."""
        top_k = self._asked.question.top_k
        one = await offload_many(len(labels), ranking_bytes, labels, top_k, is_tree=is_tree)
        held = 0
        if self._explainer is not None:
            one += self._explainer.answer_bytes
            held = self._pictures * self._explainer.held_bytes
        self._reserve(pictures * one + held)

    async def _result(
        self,
        scorer: LabelSetScorer,
        head: dict[str, Any],
        vector: NDArray[np.float32],
        picture: EmbeddedImage | None = None,
    ) -> bytes:
        top_k, explainer = self._asked.question.top_k, self._explainer

        def render() -> bytes:
            shown = answer_of(scorer, vector, top_k)
            if explainer is not None and picture is not None:
                shown["explanation"] = explainer.explain(scorer, picture, shown["ranking"])
            return to_json(head | shown)

        # All pictures' work together: one after another they would hold up the event loop as well.
        one = scorer.work(top_k) + (explainer.work if explainer else 0)
        began = time.monotonic()
        rendered = await offload_many(one * self._pictures, render)
        note("rank", began)
        return rendered

    def _time(self, image: EmbeddedImage) -> None:
        times = {"decode": image.decode_ms, "queue": image.queue_ms, "encode": image.encode_ms}
        self._slowest = {step: max(self._slowest[step], round(ms, 2)) for step, ms in times.items()}

    @property
    def _pictures(self) -> int:
        return len(self._asked.images) or len(self._asked.embeddings)

    def _head(self) -> dict[str, Any]:
        assert self._scorer is not None, "ask for the results first"
        return {"model": self._classifier.info.name, **about(self._scorer)}

    def _tail(self) -> dict[str, Any]:
        assert self._scorer is not None, "ask for the results first"
        total = round((time.perf_counter() - self._started) * 1e3, 2)
        return {"warnings": list(self._scorer.warnings), "timing_ms": self._slowest | {"total": total}}
