"""The towers of a model that run in other processes, as `models.encoders.encoder.Runner` has it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from app.ray.calls import call

if TYPE_CHECKING:
    from app.ray.encoders import Ids, Pixels, Rows


class RemoteRunner:
    """Asks encoder replicas for pictures and the text cache for texts; waits on the caller's thread."""

    workers: Final = 8
    """Calls under way: as many encoder replicas can be kept busy by one ingress replica."""

    def __init__(
        self,
        name: str,
        best_batch: int | None,
        encoders: Any,
        texts: Any,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Handles of the two deployments, and the loop that they are called on."""
        self.name, self.best_batch = name, best_batch
        self._encoders, self._texts, self._loop = encoders, texts, loop

    def images(self, pixels: Pixels) -> Rows:
        """(B, 3, S, S) -> unit rows (B, D)."""
        return self._wait(self._encoders, "images", pixels)

    def places(self, pixels: Pixels) -> Rows:
        """(B, 3, S, S) -> (B, 1 + P, D)."""
        return self._wait(self._encoders, "places", pixels)

    def texts(self, ids: Ids, end: Ids | None) -> Rows:
        """(N, l), ends (N,) or None -> unit rows (N, D)."""
        return self._wait(self._texts, "texts", ids, end)

    def _wait(self, handle: Any, method: str, *arguments: Any) -> Rows:
        answer = asyncio.run_coroutine_threadsafe(call(handle, method, *arguments), self._loop)
        rows: Rows = answer.result()
        return rows
