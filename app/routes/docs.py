"""The docs page: Swagger UI from this package's own files, so that it renders with no network at all."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

from app.routes.static_files import StaticFolder

WEB: Final = Path(__file__).resolve().parent.parent / "web" / "docs"
POLICY: Final = (
    # Only this service's own files; Swagger UI sets inline styles and draws its icons from data: URIs.
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def docs_router() -> APIRouter:
    """Routes for `/docs` and the files it is made of."""
    files = StaticFolder(WEB, POLICY)
    router = APIRouter(include_in_schema=False)

    @router.api_route("/docs", methods=["GET", "HEAD"])
    async def docs(request: Request) -> Response:
        return files.answer(request, "docs.html")

    @router.api_route("/static/{path:path}", methods=["GET", "HEAD"])
    async def file(request: Request, path: str) -> Response:
        return files.answer(request, path)

    return router
