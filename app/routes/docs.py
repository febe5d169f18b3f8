"""The docs page: Swagger UI from this package's own files, so that it renders with no network at all."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

STATIC: Final = Path(__file__).resolve().parent.parent / "web" / "docs"
HEADERS: Final = {
    # Only this service's own files; Swagger UI sets inline styles and draws its icons from data: URIs.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # kept, but asked about: it changes with the version
}


def docs_router() -> APIRouter:
    """Routes for `/docs` and the files it is made of."""
    router = APIRouter(include_in_schema=False)
    files = StaticFiles(directory=STATIC)

    @router.api_route("/docs", methods=["GET", "HEAD"])
    async def docs() -> FileResponse:
        return FileResponse(STATIC / "docs.html", headers=HEADERS)

    @router.api_route("/static/{path:path}", methods=["GET", "HEAD"])
    async def file(request: Request, path: str) -> Response:
        response = await files.get_response(path, request.scope)
        response.headers.update(HEADERS)  # docs.html is among them
        return response

    return router
