"""The deployments behind the ingress: replicas that run the towers, and one that keeps texts' vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.http.logging import configure_logging
from app.model_loading import load_options, load_runner
from app.ray.calls import call
from app.settings import Settings
from models.batching.lru_cache import LRUCache

if TYPE_CHECKING:
    from models.loading import Described

Pixels = NDArray[np.uint8]
Ids = NDArray[np.int64]
Rows = NDArray[np.float32]


class EncoderReplica:
    """The towers of one model. What several ingress replicas ask meanwhile is encoded in one batch."""

    def __init__(self, settings: Settings, spec: str) -> None:
        from models.classifier import STALLED_S, batcher_of

        configure_logging(settings.log_level)
        self._described, runner = load_runner(settings, spec)
        encoder = self._described.encoder(runner)
        self._best_batch = encoder.best_batch
        self._batcher = batcher_of(self._described.info.name, encoder, load_options(settings).serving)
        self._stalled_s = STALLED_S

    async def describe(self) -> tuple[Described, int | None]:
        """All of the model but its towers, and its best batch."""
        return self._described, self._best_batch

    async def images(self, pixels: Pixels) -> Rows:
        """(B, 3, S, S) -> unit rows (B, D)."""
        return np.stack(await self._encode("images", pixels))

    async def places(self, pixels: Pixels) -> Rows:
        """(B, 3, S, S) -> (B, 1 + P, D)."""
        return np.stack(await self._encode("places", pixels))

    async def texts(self, ids: Ids) -> Rows:
        """(N, l) -> unit rows (N, D)."""
        [rows] = await self._encode("texts", [ids])
        return rows

    async def check_health(self) -> None:
        """Serve replaces this replica when it raises."""
        if died := self._batcher.died():
            raise RuntimeError(died)
        if self._batcher.busy_s() > self._stalled_s:
            raise RuntimeError("a forward pass hangs")

    async def _encode(self, lane: str, items: Iterable[Any]) -> list[Rows]:
        futures = [asyncio.wrap_future(self._batcher.submit(lane, item)) for item in items]
        return [encoded.value for encoded in await asyncio.gather(*futures)]


class TextCache:
    """The vectors of one model's texts, shared by all ingress replicas: each text is encoded once.

    One replica. Starting anew, it is empty; what asks meanwhile waits for it.
    """

    def __init__(self, settings: Settings, encoders: Any) -> None:
        configure_logging(settings.log_level)
        self._encoders = encoders
        self._kept: LRUCache[bytes, Rows] = LRUCache(settings.text_cache_bytes)
        self._under_way: dict[bytes, asyncio.Task[dict[bytes, Rows]]] = {}

    async def texts(self, ids: Ids, end: Ids | None) -> Rows:
        """(N, l) and the ends (N,) of texts that are trimmed -> unit rows (N, D)."""
        keys = [(row if end is None else row[: end[at] + 1]).tobytes() for at, row in enumerate(ids)]
        found = {key: row for key in keys if (row := self._kept.get(key)) is not None}
        new = {key: at for at, key in enumerate(keys) if key not in found and key not in self._under_way}
        if new:
            task = asyncio.create_task(self._encode(list(new), ids[list(new.values())]))
            self._under_way |= dict.fromkeys(new, task)
        for task in {self._under_way[key] for key in keys if key not in found}:
            found |= await asyncio.shield(task)  # others wait for it too
        return np.stack([found[key] for key in keys])

    async def _encode(self, keys: list[bytes], ids: Ids) -> dict[bytes, Rows]:
        try:
            rows = await call(self._encoders, "texts", ids)
        finally:
            for key in keys:
                del self._under_way[key]
        made = {key: row.copy() for key, row in zip(keys, rows, strict=True)}
        for key, row in made.items():
            self._kept.put(key, row, row.nbytes + len(key))
        return made
