"""Answers as JSON lines, each as soon as it is ready: for callers with many pictures.

    {"index": 3, "name": "c.jpg", "width": 640, "height": 480, "ranking": [...]}     or "error" in its place
    {"model": "embedded", "calibrated": false, "warnings": [], "timing_ms": {...}}   the last line,
    {"error": {...}}                                                                 or this, ending early

Nothing is sent before the first answer is there, so until then an error has its status and the envelope. Only
a stream with one of the two last lines is whole.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any, Final

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from app.http.admission import Admission
from app.http.errors import CallerGone, detail_of, envelope, status_of
from app.service.answering import Answering
from app.service.rendering import to_json
from models.errors import CandidError

NDJSON: Final = "application/x-ndjson"
LAST_LINE_S: Final = 1.0
"""Time to send the line that says why a stream ends early, to a caller who may have stopped reading."""

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

    def __init__(self, request: Request, admission: Admission, answering: Answering) -> None:
        super().__init__()
        del self.headers["content-length"]
        self.headers["x-accel-buffering"] = "no"  # nginx would hold the lines back
        self._request, self._admission, self._answering = request, admission, answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def line(text: bytes) -> None:
            nonlocal begun
            if not begun:
                begun = True
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": text + b"\n", "more_body": True})

        try:
            async with (
                self._admission.slot(self._request) as slot,
                aclosing(self._answering.results(slot.deadline, numbered=True)) as results,
            ):
                async for _, result in results:
                    await line(result)
                await line(self._answering.last_line())
        except CallerGone:
            if not begun:
                raise
            scope["state"]["error_code"] = CallerGone.code  # for the log; nobody reads an answer
            return
        except CandidError as error:
            if not begun:
                raise
            scope["state"]["error_code"] = error.code
            last = envelope(status_of(error), detail_of(error), str(scope["state"].get("request_id", "-")))
            try:
                async with asyncio.timeout(LAST_LINE_S):
                    await line(to_json(last))
            except TimeoutError:
                return  # the server closes the connection, which says that the stream is not whole
        await send({"type": "http.response.body", "body": b"", "more_body": False})
