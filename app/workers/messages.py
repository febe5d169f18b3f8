"""What goes through the pipe between a front and the owner of the models, and the memory that both see."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from app.settings import Settings
from models.errors import CandidError

if TYPE_CHECKING:
    from models.loading import Described

Pixels = NDArray[np.uint8]
Ids = NDArray[np.int64]
Rows = NDArray[np.float32]

CALLS: Final = 2
"""A front's calls under way for each model: one is encoded while the next one is collected."""


@dataclass(frozen=True, slots=True)
class Model:
    """All of a model but its towers, and the batch that suits them."""

    described: Described
    best_batch: int | None


@dataclass(frozen=True, slots=True)
class Welcome:
    """Owner to front, first of all."""

    settings: Settings
    models: tuple[Model, ...]
    address: tuple[Any, ...]  # to listen on, as `socket.bind` takes it
    family: int
    slots: int
    slot_bytes: int


@dataclass(frozen=True, slots=True)
class Ready:
    """Front to owner: it listens."""


@dataclass(frozen=True, slots=True)
class Encode:
    """Front to owner: pixels that lie in a slot, or the ids of texts."""

    number: int  # of the call
    model: int
    lane: str
    slot: int
    shape: tuple[int, ...]
    ids: Ids | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """Owner to front."""

    number: int
    rows: Rows | None
    error: CandidError | None = None


@dataclass(frozen=True, slots=True)
class Scrape:
    """Metrics are asked for: by a front of the owner for all other fronts', or by the owner of a front."""

    number: int


@dataclass(frozen=True, slots=True)
class Scraped:
    """Metrics in Prometheus' text format."""

    number: int
    texts: Sequence[bytes]


class Slots:
    """Memory for pixels that two processes see, by the number of an open file; `count` places of `size`."""

    def __init__(self, file: int, count: int, size: int) -> None:
        self._size = size
        self._memory = mmap.mmap(file, count * size)

    def view(self, slot: int, shape: tuple[int, ...]) -> Pixels:
        """Pixels of a shape in a slot; what is written to them is seen by the other process."""
        return np.ndarray(shape, dtype=np.uint8, buffer=self._memory, offset=slot * self._size)


@contextmanager
def unnamed_file(size: int) -> Iterator[int]:
    """The number of a file of so many bytes that has no name, so that nothing of it is ever left."""
    if hasattr(os, "memfd_create"):  # not in /dev/shm, of which a container has little
        file = os.memfd_create("candid-pixels")
    else:
        file, name = tempfile.mkstemp()
        Path(name).unlink()
    try:
        os.truncate(file, size)
        yield file
    finally:
        os.close(file)
