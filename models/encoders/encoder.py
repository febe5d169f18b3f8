"""The one door to a model's towers: pictures and token ids in, unit vectors out, whatever runs them.

What runs them is a `Runner`: torch, or OpenVINO on a CPU. Both get the same towers and give the same answers.
Refuses to know where weights come from (see `loading`) and who waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Ids = NDArray[np.int64]
Rows = NDArray[np.float32]


Method = Literal["cam", "naclip", "maskclip"]


@dataclass(frozen=True, slots=True)
class Grid:
    """The places of a picture that a tower tells apart, and by which method (see `places.tower`)."""

    method: Method
    rows: int
    columns: int

    @property
    def adds_up(self) -> bool:
        """Whether the places' vectors add up to the picture's."""
        return self.method == "cam"


class Runner(Protocol):
    """Runs both towers: arrays in, unit rows out. At most `workers` callers at once."""

    @property
    def name(self) -> str:
        """What an operator calls it: "torch", "openvino"."""

    @property
    def workers(self) -> int:
        """Callers at once that keep it busy."""

    @property
    def best_batch(self) -> int | None:
        """Pictures at once that are quickest; None: the more, the quicker."""

    def images(self, pixels: Pixels) -> Rows:
        """(B, 3, S, S) -> (B, D)."""

    def places(self, pixels: Pixels) -> Rows:
        """(B, 3, S, S) -> (B, 1 + P, D): the picture's row, then its places'. For towers with a grid."""

    def texts(self, ids: Ids, end: Ids | None) -> Rows:
        """(N, l) and, for towers that are trimmed, each text's end (N,) -> (N, D)."""


@dataclass(frozen=True, slots=True)
class EndOfText:
    """Finds each text's end-of-text position: that of `token`, or, without one, of the largest id."""

    token: int | None

    def __call__(self, ids: Ids) -> Ids:
        """(N, L) -> (N,)."""
        end: Ids = np.argmax(ids if self.token is None else ids == self.token, axis=-1)
        return end


class Encoder:
    """Both towers of one model, ready to run."""

    def __init__(
        self, runner: Runner, *, device: str, end_of_text: EndOfText | None, grid: Grid | None = None
    ) -> None:
        self._runner = runner
        self._end_of_text = end_of_text  # None: the text tower attends to its padding and is run whole
        self.grid = grid  # None: it has no places
        self.device = device
        self.name = runner.name
        self.workers = runner.workers
        self.best_batch = runner.best_batch

    def images(self, pixels: Sequence[Pixels]) -> Rows:
        """Embed pictures: B of (3, S, S) -> unit rows (B, D)."""
        return self._runner.images(np.stack(pixels))  # bytes: a quarter of what floats would take

    def places(self, pixels: Sequence[Pixels]) -> Rows:
        """Embed pictures and their places: B of (3, S, S) -> (B, 1 + P, D), the pictures' unit rows first."""
        return self._runner.places(np.stack(pixels))

    def texts(self, ids: Ids) -> Rows:
        """Embed texts: int64 (N, context_length) -> unit rows (N, D)."""
        if self._end_of_text is None:
            return self._runner.texts(ids, None)
        end = self._end_of_text(ids)  # (N,)
        return self._runner.texts(ids[:, : int(end.max()) + 1], end)  # (N, l): up to the longest one's end
