"""The towers on torch, eager: on a CPU, on Apple's GPU, in every precision."""

from __future__ import annotations

from typing import Any, Final

import torch
from numpy.typing import NDArray

from models.encoders.encoder import Ids, Pixels, Rows
from models.encoders.towers import Towers


class TorchRunner:
    """Runs the towers where their weights are."""

    name: Final = "torch"
    workers: Final = 1
    best_batch: Final = None

    def __init__(self, towers: Towers) -> None:
        self._towers = towers
        self._device = next(towers.image.parameters()).device

    @torch.inference_mode()
    def images(self, pixels: Pixels) -> Rows:
        """(B, 3, S, S) -> unit rows (B, D)."""
        return self._host(self._towers.image(self._upload(pixels)))

    @torch.inference_mode()
    def places(self, pixels: Pixels) -> Rows:
        """(B, 3, S, S) -> (B, 1 + P, D)."""
        assert self._towers.places is not None, "only towers with a grid are asked"
        return self._host(self._towers.places(self._upload(pixels)))

    @torch.inference_mode()
    def texts(self, ids: Ids, end: Ids | None) -> Rows:
        """(N, l), ends (N,) or None -> unit rows (N, D)."""
        return self._host(self._towers.text(self._upload(ids), None if end is None else self._upload(end)))

    def _upload(self, batch: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(batch).to(self._device)

    def _host(self, rows: torch.Tensor) -> Rows:
        host: Rows = rows.cpu().numpy()
        return host
