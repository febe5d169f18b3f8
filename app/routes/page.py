"""The page at `/` and the files it is made of, read once and served from memory with an ETag.

Nothing on the page comes from elsewhere and no template fills it in, so the Content-Security-Policy can be as
strict as they come: scripts and styles from here only, none inline. Knows nothing of what the page does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response

WEB: Final = Path(__file__).resolve().parent.parent / "web" / "page"

CONTENT_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Named here: `mimetypes` asks the operating system, and one that calls .js text/plain breaks the page."""

HEADERS: Final = {
    "Content-Security-Policy": "; ".join(
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
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Kept by the browser, but asked about each time: a new version of Candid never meets an old module.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the page, ready to send."""

    body: bytes
    content_type: str
    etag: str


def read_assets(folder: Path = WEB) -> dict[str, Asset]:
    """Every file of the page by its name; files of other kinds are not served."""
    assets = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in CONTENT_TYPES:
            body = path.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            assets[path.name] = Asset(body, CONTENT_TYPES[path.suffix], etag)
    return assets


def page_router() -> APIRouter:
    """Routes for `/` and `/web/…`; left out of the API's description, since programs have no use for them."""
    assets = read_assets()
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        return answer(request, assets["index.html"])

    @router.api_route("/web/{name}", methods=["GET", "HEAD"])
    async def file(request: Request, name: str) -> Response:
        if name not in assets:
            raise HTTPException(404, "the page has no such file")
        return answer(request, assets[name])

    return router


def answer(request: Request, asset: Asset) -> Response:
    """The file, or 304 when the caller has it already."""
    headers = {**HEADERS, "ETag": asset.etag}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if asset.etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(asset.body, media_type=asset.content_type, headers=headers)
