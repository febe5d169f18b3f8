"""The page at `/` and the files it is made of.

Nothing on the page comes from elsewhere and no template fills it in, so the Content-Security-Policy can be as
strict as they come: scripts and styles from here only, none inline.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

from app.routes.static_files import StaticFolder

WEB: Final = Path(__file__).resolve().parent.parent / "web" / "page"
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",  # blob: the pictures that the visitor chose
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)


def page_router() -> APIRouter:
    """Routes for `/` and `/web/…`; left out of the API's description, since programs have no use for them."""
    files = StaticFolder(WEB, POLICY, {"Cross-Origin-Opener-Policy": "same-origin"})
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        return files.answer(request, "index.html")

    @router.api_route("/web/{name}", methods=["GET", "HEAD"])
    async def file(request: Request, name: str) -> Response:
        return files.answer(request, name)

    return router
