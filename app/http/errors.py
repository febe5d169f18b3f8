"""What goes wrong, as HTTP says it: ONE table from exception to status, one JSON envelope for all of them.

    {"error": {"code": "…", "message": "…", "field": "labels" | null, "request_id": "…"}}

`code` is stable and for programs, `message` is for people. A defect of ours says nothing of its insides: the
traceback goes to the log under the same request id. Knows nothing of what the routes do.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.storage.errors import NotFound, PreconditionFailed, StoreUnavailable
from models import errors as clip

logger = logging.getLogger(__name__)

CLIENT_CLOSED_REQUEST: Final = 499
"""nginx's number for "the caller left"; nobody reads the answer, the log and the metrics do."""
MAX_MESSAGE_CHARS: Final = 600


class Unauthorized(clip.CandidError):
    """No key, or none of ours."""

    code = "unauthorized"


class UnsupportedMediaType(clip.CandidError):
    """A body of a kind that this route does not read."""

    code = "unsupported_media_type"


class BadBody(clip.CandidError):
    """A body that is not what its content type says."""

    code = "bad_request"


class CallerGone(clip.CandidError):
    """The caller closed the connection before the answer was ready."""

    code = "caller_gone"


STATUS: Final[Mapping[type[Exception], int]] = {
    BadBody: 400,
    Unauthorized: 401,
    NotFound: 404,
    clip.UnknownModel: 404,
    PreconditionFailed: 412,
    UnsupportedMediaType: 415,
    clip.InvalidRequest: 422,
    clip.ImageRejected: 422,
    RequestValidationError: 422,
    CallerGone: CLIENT_CLOSED_REQUEST,
    ClientDisconnect: CLIENT_CLOSED_REQUEST,
    clip.Overloaded: 503,
    clip.ShuttingDown: 503,
    clip.EncoderFailed: 503,
    clip.ModelUnavailable: 503,
    StoreUnavailable: 503,
    clip.DeadlineExceeded: 504,
}
"""Exceptions and their statuses; a subclass without a row has its parent's. HTTPException brings its own."""

CODES: Final[Mapping[int, str]] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "receipt_timeout",
    412: "precondition_failed",
    413: "body_too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    421: "misdirected_request",
    422: "invalid_request",
    431: "headers_too_large",
    CLIENT_CLOSED_REQUEST: "caller_gone",
    500: "internal_error",
    503: "overloaded",
}
"""Codes of errors that carry none of their own, by status."""
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
PLAIN: Final[Mapping[int, str]] = {
    404: "there is nothing at this path; /docs lists what there is",
    405: "this path does not take that method",
    500: "something went wrong on our side; the log has it under this request id",
}
"""Messages where neither we nor the framework say anything better."""


def status_of(error: Exception) -> int:
    """The HTTP status of `error`; 500 for what is in no row of the table."""
    if isinstance(error, HTTPException):
        return error.status_code
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def detail_of(error: Exception) -> dict[str, Any]:
    """What the envelope says of `error`, without the request's id. Also a picture's own `error`."""
    status = status_of(error)
    detail: dict[str, Any] = {"code": CODES.get(status, "error"), "message": "", "field": None}
    if isinstance(error, clip.CandidError):
        if status != 500:
            detail.update(code=error.code, message=error.message, field=error.field)
        if isinstance(error, clip.ImageRejected):
            detail["reason"] = error.reason
    elif isinstance(error, RequestValidationError):
        detail.update(zip(("message", "field"), flatten(error.errors()), strict=True))
    elif isinstance(error, HTTPException):
        allowed = (error.headers or {}).get("Allow")
        standard = error.detail in (None, "", _phrase(status))  # the framework's own words say little
        detail["message"] = (PLAIN.get(status) if standard else str(error.detail)) or ""
        if allowed:
            detail["message"] += f" (allowed: {allowed})"
    elif isinstance(error, ClientDisconnect):
        detail["message"] = "the caller closed the connection"
    detail["message"] = _clean(detail["message"]) or PLAIN.get(status) or _phrase(status)
    detail["field"] = _clean(detail["field"]) if detail["field"] else None
    return detail


def flatten(errors: Sequence[ErrorDetails] | Sequence[Any]) -> tuple[str, str | None]:
    """Pydantic's errors as one message that names the fields and their limits, and the first field."""
    parts, fields = [], []
    for error in errors:
        place = [part for part in error["loc"] if part not in ("body", "query", "path", "header")]
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
        fields.append(field or None)
        kind, words = error["type"], str(error["msg"]).removeprefix("Value error, ")
        if field and kind in ("missing", "extra_forbidden"):
            parts.append(f"{field} is {'required' if kind == 'missing' else 'not a field of this request'}")
        else:
            parts.append(f"{field}: {words}" if field else words)
    more = f"; and {len(parts) - 5} more" if len(parts) > 5 else ""
    return "; ".join(parts[:5]) + more, fields[0] if fields else None


def envelope(status: int, detail: Mapping[str, Any], request_id: str) -> dict[str, Any]:
    """The one shape of every error."""
    return {"error": {**detail, "request_id": request_id}}


def response_to(error: Exception, scope: Scope) -> JSONResponse:
    """The answer to a request that ended in `error`."""
    status, state = status_of(error), scope.setdefault("state", {})
    detail = detail_of(error)
    state["error_code"] = detail["code"]  # for the log and the metrics
    headers = dict(getattr(error, "headers", None) or {})
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers.setdefault("Retry-After", str(getattr(error, "retry_after_s", 1)))
    if status == 500:
        logger.error("unexpected error", exc_info=error, extra={"request_id": state.get("request_id", "-")})
    body = envelope(status, detail, str(state.get("request_id", "-")))
    return JSONResponse(body, status_code=status, headers=headers)


class Envelope:
    """ASGI: whatever escapes from inside becomes an answer in the envelope."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            if started:  # half an answer is out: only cutting it off says that it is not whole
                raise
            await response_to(error, scope)(scope, receive, send)


def install(app: FastAPI) -> None:
    """Answer everything that a route or the framework raises in the envelope."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, HTTPException) and error.status_code == 405:
            error.headers = {**(error.headers or {}), "Allow": _allowed(request.scope)}
        return response_to(error, request.scope)

    for kind in (clip.CandidError, HTTPException, RequestValidationError, ClientDisconnect):
        app.add_exception_handler(kind, answer)


def _allowed(scope: Scope) -> str:
    """Every method that this path takes; the framework names those of the first route that it came to."""

    def takes(method: str) -> bool:
        routes = scope["app"].routes
        return any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)

    return ", ".join(method for method in METHODS if takes(method))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "the request failed"


def _clean(message: str) -> str:
    """Words that any JSON encoder and any log can carry, of a bounded length."""
    text = message.encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_MESSAGE_CHARS else f"{text[:MAX_MESSAGE_CHARS]}…"
