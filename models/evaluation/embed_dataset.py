"""One pass of a model over a data set: decoding and encoding overlap, and a bounded number is under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.batching.read_ahead import PICTURES, read_ahead
from models.errors import ImageRejected, InvalidRequest
from models.evaluation.dataset import Dataset, LabelledPicture, load

if TYPE_CHECKING:
    from models.batching.image_embeddings import EmbeddedImage
    from models.classifier import Classifier

Progress = Callable[[int, int], None]  # pictures done, pictures in all


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A picture that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class EmbeddedSet:
    """The readable pictures of a data set as one model sees them."""

    items: tuple[LabelledPicture, ...]
    vectors: NDArray[np.float32]  # (M, D), unit rows
    unreadable: tuple[Unreadable, ...]
    seconds: float  # decoding and encoding, wall time


def embed(
    classifier: Classifier,
    dataset: Dataset,
    *,
    progress: Progress | None = None,
    ahead: int = PICTURES,
) -> EmbeddedSet:
    """Embed every picture that can be read; the others are named with the reason.

    Raises InvalidRequest when none can.
    """
    started = time.perf_counter()
    items, rows, unreadable = [], [], []
    for done, (item, result) in enumerate(_embedded(classifier, dataset, ahead), 1):
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
    classifier: Classifier, dataset: Dataset, ahead: int
) -> Iterator[tuple[LabelledPicture, EmbeddedImage | str]]:
    """Each picture's embedding, or the reason for none, in order."""
    begun = (
        ((loaded.item, loaded.problem or classifier.embed_image(loaded.data)), len(loaded.data))
        for loaded in load(dataset)
    )
    for item, future in read_ahead(begun, pictures=ahead):
        try:
            yield item, future if isinstance(future, str) else future.result()
        except ImageRejected as error:
            yield item, error.reason
