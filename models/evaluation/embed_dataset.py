"""One pass of a model over a data set: decoding and encoding overlap, and a bounded number is under way.

Works through the public `Classifier` alone. Knows nothing of labels; prints nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import ImageRejected, InvalidRequest
from models.evaluation.dataset import Dataset, Item, load

if TYPE_CHECKING:
    from models.batching.image_embeddings import EmbeddedImage
    from models.classifier import Classifier

READ_AHEAD: Final = 64
"""Pictures under way at a time: twice a batch, so that decoding goes on while the encoder works."""

Progress = Callable[[int, int], None]  # pictures done, pictures in all


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A picture that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class EmbeddedSet:
    """The readable pictures of a data set as one model sees them."""

    items: tuple[Item, ...]
    vectors: NDArray[np.float32]  # (M, D), unit rows
    unreadable: tuple[Unreadable, ...]
    seconds: float  # decoding and encoding, wall time


def embed(
    classifier: Classifier,
    dataset: Dataset,
    *,
    progress: Progress | None = None,
    read_ahead: int = READ_AHEAD,
) -> EmbeddedSet:
    """Embed every picture that can be read; the others are named with the reason.

    Raises InvalidRequest when none can.
    """
    started = time.perf_counter()
    items, rows, unreadable = [], [], []
    for done, (item, result) in enumerate(_embedded(classifier, dataset, read_ahead), 1):
        if isinstance(result, str):
            unreadable.append(Unreadable(item.name, result))
        else:
            items.append(item)
            rows.append(result.vector)
        if progress:
            progress(done, len(dataset.items))
    if not rows:
        raise InvalidRequest(f"none of {len(unreadable)} pictures could be read", field="dataset")
    seconds = time.perf_counter() - started
    return EmbeddedSet(tuple(items), np.stack(rows), tuple(unreadable), seconds)


def _embedded(
    classifier: Classifier, dataset: Dataset, read_ahead: int
) -> Iterator[tuple[Item, EmbeddedImage | str]]:
    """Each picture's embedding, or the reason for none, in order, with a bounded number under way."""
    under_way: deque[tuple[Item, Future[EmbeddedImage] | str]] = deque()

    def finish() -> tuple[Item, EmbeddedImage | str]:
        item, future = under_way.popleft()
        if isinstance(future, str):
            return item, future
        try:
            return item, future.result()
        except ImageRejected as error:
            return item, error.reason

    for loaded in load(dataset):
        if len(under_way) >= read_ahead:
            yield finish()
        under_way.append((loaded.item, loaded.problem or classifier.embed_image(loaded.data)))
    while under_way:
        yield finish()
