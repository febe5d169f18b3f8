"""Answers as JSON lines, each as soon as it is ready: for callers with many pictures.

    {"index": 3, "name": "c.jpg", "width": 640, "height": 480, "ranking": [...]}     or "error" in its place
    {"model": "embedded", "calibrated": false, "warnings": [], "timing_ms": {...}}   the last line,
    {"error": {...}}                                                                 or this, ending early

Nothing is sent before the first answer is there, so until then an error has its status and the envelope. Only
a stream with one of the two last lines is whole. Knows nothing of labels: what makes an answer is handed in.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from app.http.errors import CallerGone, detail_of, envelope, status_of
from app.requests.body import offload_many
from app.requests.pictures import ClassifyRequest
from app.requests.vectors import vectors_of
from app.routes.dependencies import Service
from app.service.answering import Way
from app.service.embedding import embed_ready
from models.errors import CandidError

if TYPE_CHECKING:
    from models.classifier import Classifier

NDJSON: Final = "application/x-ndjson"
LAST_LINE_S: Final = 1.0
"""Time to send the line that says why a stream ends early, to a caller who may have stopped reading."""

Building = Callable[[float], Awaitable[Way]]  # from a deadline to what makes an answer of a vector
_EXAMPLE: Final = (
    '{"index": 0, "name": "cat.jpg", "width": 64, "height": 64, "ranking": [{"label": "cat", "similarity": '
    '0.26, "probability": 0.98}]}\n{"model": "embedded", "calibrated": false, "warnings": [], "timing_ms": '
    '{"decode": 1.2, "queue": 0.1, "encode": 8.4, "total": 10.2}}\n'
)
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": f"Rankings. With `Accept: {NDJSON}` one JSON line a picture, each as soon as it is "
        "ready and with its `index`; the last line has `model`, `warnings` and `timing_ms`, or `error` if "
        "the stream had to end early.",
        "content": {NDJSON: {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}
"""For OpenAPI: the second way in which the operation answers."""


def wanted(request: Request) -> bool:
    """Whether the caller asks for JSON lines by name; `*/*` gets one JSON document."""
    ranges = [part.split(";") for part in request.headers.get("accept", "").split(",")]
    return any(
        name.strip().lower() == NDJSON and all(p.replace(" ", "") not in ("q=0", "q=0.0") for p in parameters)
        for name, *parameters in ranges
    )


class Lines(Response):
    """The answer to one request. It does the work while it is sent, inside the request's slot."""

    media_type = NDJSON

    def __init__(
        self,
        request: Request,
        service: Service,
        classifier: Classifier,
        asked: ClassifyRequest,
        build: Building,
        started: float,
    ) -> None:
        super().__init__()
        del self.headers["content-length"]
        self.headers["x-accel-buffering"] = "no"  # nginx would hold the lines back
        self._request, self._service, self._started = request, service, started
        self._classifier, self._asked, self._build = classifier, asked, build

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def line(value: dict[str, Any]) -> None:
            nonlocal begun
            if not begun:
                begun = True
                start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                await send(start)
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            await send({"type": "http.response.body", "body": text.encode() + b"\n", "more_body": True})

        try:
            async with (
                self._service.door.slot(self._request) as slot,
                aclosing(self._answers(slot.deadline)) as answers,
            ):
                async for answer in answers:
                    await line(answer)
        except CallerGone:
            if not begun:
                raise
            scope["state"]["error_code"] = CallerGone.code  # for the log; nobody reads an answer
            return
        except CandidError as error:
            if not begun:
                raise
            scope["state"]["error_code"] = error.code
            told = envelope(status_of(error), detail_of(error), str(scope["state"].get("request_id", "-")))
            try:
                async with asyncio.timeout(LAST_LINE_S):
                    await line(told)
            except TimeoutError:
                return  # the server closes the connection, which says that the stream is not whole
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _answers(self, deadline: float) -> AsyncGenerator[dict[str, Any], None]:
        asked, slowest = self._asked, {"decode": 0.0, "queue": 0.0, "encode": 0.0}
        vectors = vectors_of(asked.embeddings, self._classifier.info.embed_dim)
        building = asyncio.ensure_future(self._build(deadline))
        try:
            async with aclosing(embed_ready(self._classifier, asked.pictures, deadline)) as outcomes:
                async for index, outcome in outcomes:
                    head = {"index": index, "name": asked.pictures[index].name}
                    if isinstance(outcome, Exception):
                        if len(asked.pictures) == 1:
                            raise outcome
                        await asyncio.shield(building)  # labels that cannot be used are told first
                        yield head | {"error": detail_of(outcome)}
                        continue
                    for step in slowest:
                        slowest[step] = max(slowest[step], round(getattr(outcome, f"{step}_ms"), 2))
                    way = await asyncio.shield(building)
                    size = {"width": outcome.width, "height": outcome.height}
                    yield head | size | await offload_many(way.labels, way.answer, outcome.vector)
            way = await building
            for index, vector in enumerate(vectors):
                yield {"index": index, "name": None} | await offload_many(way.labels, way.answer, vector)
        finally:
            building.cancel()
            await asyncio.gather(building, return_exceptions=True)  # so that no error goes unseen
        slowest["total"] = round((time.perf_counter() - self._started) * 1e3, 2)
        told = {"model": self._classifier.info.name, **way.told, "warnings": list(way.warnings)}
        yield told | {"timing_ms": slowest}
