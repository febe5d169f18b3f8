"""The files of a page, read once and served from memory with an ETag."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import HTTPException, Request, Response

CONTENT_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""Named here: `mimetypes` asks the operating system, and one that calls .js text/plain breaks the page."""

HEADERS: Final = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Kept by the browser, but asked about each time: a new version of Candid never meets an old module.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, ready to send."""

    body: bytes
    content_type: str
    etag: str


class StaticFolder:
    """Every file in and below a folder; files of other kinds are not served."""

    def __init__(self, folder: Path, policy: str, headers: Mapping[str, str] | None = None) -> None:
        """`policy` is the Content-Security-Policy that goes with every file."""
        self._headers = {**HEADERS, "Content-Security-Policy": policy, **(headers or {})}
        self._files: dict[str, StaticFile] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix in CONTENT_TYPES:
                body = path.read_bytes()
                etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
                name = path.relative_to(folder).as_posix()
                self._files[name] = StaticFile(body, CONTENT_TYPES[path.suffix], etag)

    def answer(self, request: Request, name: str) -> Response:
        """The file, or 304 when the caller has it already."""
        file = self._files.get(name)
        if file is None:
            raise HTTPException(404, "the page has no such file")
        headers = {**self._headers, "ETag": file.etag}
        known = request.headers.get("if-none-match", "").split(",")
        if any(tag.strip().removeprefix("W/") in (file.etag, "*") for tag in known):
            return Response(status_code=304, headers=headers)
        return Response(file.body, media_type=file.content_type, headers=headers)
