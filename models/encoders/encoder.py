"""The one door to a model's towers: pictures and token ids in, unit vectors out, whatever runs them.

What runs them is a `Runner`: torch, or OpenVINO on a CPU. Both get the same towers and give the same answers.
Refuses to know where weights come from (see `loading`) and who waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from models.encoders.towers import EndOfText

Rows = NDArray[np.float32]


class Runner(Protocol):
    """Runs both towers: tensors on the host in, unit rows out. At most `workers` callers at once."""

    @property
    def name(self) -> str:
        """What an operator calls it: "torch", "openvino"."""

    @property
    def workers(self) -> int:
        """Callers at once that keep it busy."""

    def images(self, pixels: torch.Tensor) -> Rows:
        """uint8 (B, 3, S, S) -> (B, D)."""

    def texts(self, ids: torch.Tensor, end: torch.Tensor | None) -> Rows:
        """int64 (N, l) and, for towers that are trimmed, each text's end (N,) -> (N, D)."""


class Encoder:
    """Both towers of one model, ready to run."""

    def __init__(self, runner: Runner, *, device: str, end_of_text: EndOfText | None) -> None:
        self._runner = runner
        self._end_of_text = end_of_text  # None: the text tower attends to its padding and is run whole
        self.device = torch.device(device)
        self.name = runner.name
        self.workers = runner.workers

    def images(self, pixels: Sequence[torch.Tensor]) -> Rows:
        """Embed pictures: B tensors uint8 (3, S, S) -> unit rows (B, D)."""
        return self._runner.images(torch.stack(list(pixels)))  # bytes: a quarter of what floats would take

    def texts(self, ids: torch.Tensor) -> Rows:
        """Embed texts: int64 (N, context_length) -> unit rows (N, D)."""
        if self._end_of_text is None:
            return self._runner.texts(ids, None)
        end = self._end_of_text(ids)  # (N,)
        return self._runner.texts(ids[:, : int(end.max()) + 1], end)  # (N, l): up to the longest one's end
