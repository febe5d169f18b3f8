"""Whose requests these are: the host that they name, and the page that a browser sends them from.

A page of a foreign site can make a visitor's browser send to an address on that visitor's own machine: by a
form, or, when its own name is made to point there (DNS rebinding), by any request. Keys keep both out; where
there are none, these checks do.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.errors import response_to

ANY: Final = "*"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""They change nothing (RFC 9110, 9.2.1), and a foreign page cannot read their answers."""
_HOST: Final = re.compile(rb"(\[[0-9a-fA-F:.]+\]|[\w.~%!$&'()*+,;=-]*)(?::\d{0,5})?", re.ASCII)


class Hosts:
    """The names by which the service may be called: exact ones, `*.example.org`, or `*`.

    With `addresses`, any IP address as well: probes call by it, and no page can be at an address that is not
    its own server's.
    """

    def __init__(self, names: Sequence[str], *, addresses: bool = False) -> None:
        self._addresses = addresses
        self._any = ANY in names
        self._exact = frozenset(name.lower().encode() for name in names)
        self._below = tuple(name[1:].lower().encode() for name in names if name.startswith("*."))

    def allows(self, host: bytes) -> bool:
        """Whether a request for `host` (of a Host header, without the port) is answered."""
        name = host.lower().rstrip(b".")
        known = self._any or name in self._exact or name.endswith(self._below)
        return known or (self._addresses and _is_address(name))


def host_of(value: bytes) -> bytes | None:
    """The name or address in a Host header, without its port; None when it is none."""
    match = _HOST.fullmatch(value)
    return match[1] if match else None


def _is_address(host: bytes) -> bool:
    try:
        ipaddress.ip_address(host.decode().removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


class CrossSite:
    """ASGI: refuses what a page of another origin sends, unless CORS allows that origin or it only reads."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        self.app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS and not self._allows(scope):
            error = HTTPException(403, "a page of another origin may not send this (setting: cors_origins)")
            await response_to(error, scope)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _allows(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is None and site is None:
            return True  # no browser, or one too old to say
        if ANY in self._origins or origin in self._origins:
            return True
        # A browser sets Sec-Fetch-Site itself, and no proxy changes what it means; old ones say Origin alone.
        if site is not None:
            return site in ("same-origin", "none")
        sender = _authority(origin or "")
        return sender is not None and sender == _authority(f"//{headers.get('host', '')}")


def _authority(url: str) -> str | None:
    """Host and port, without the port that goes without saying."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return f"{host}:{port}" if port not in (None, 80, 443) else host
