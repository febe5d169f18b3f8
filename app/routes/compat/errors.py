"""The service's errors in the shape in which another program's clients look for them.

Status, code, headers and log stay the ones of `app.http.errors`; only the JSON around the message differs.
What is refused before a route is found (no such path, a body that is too large) keeps our own envelope.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from app.http.errors import response_to


def router_with_errors_under(key: str) -> APIRouter:
    """A router whose errors are `{key: message, "code": …, "request_id": …}`."""

    class Route(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    return await handle(request)
                except Exception as error:
                    return _under(key, response_to(error, request.scope))

            return answer

    return APIRouter(route_class=Route, include_in_schema=False)


def _under(key: str, response: JSONResponse) -> JSONResponse:
    detail = json.loads(bytes(response.body))["error"]
    content = {key: detail.pop("message"), **detail}
    headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
    return JSONResponse(content, status_code=response.status_code, headers=headers)
