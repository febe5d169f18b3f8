"""What Candid's service is measured against: its own encoder with nothing around it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from models.classifier import Classifier
from models.image import ImageLimits, decode


def encoder(classifier: Classifier) -> Callable[[Sequence[Any]], Any]:
    """The forward pass as the worker calls it: tensors uint8 (3, S, S) -> unit rows (B, D)."""
    return classifier._batcher.lane("images").encode


def pixels(classifier: Classifier, data: bytes) -> Any:
    """A photograph as the encoder takes it: uint8 (3, S, S), decoded at the scale that the model needs."""
    preprocess = classifier._images._preprocess
    picture = decode(data, ImageLimits(), at_least=preprocess.at_least)
    return preprocess.pixels(picture.rgb, exact=not picture.reduced)


def seconds(encode: Callable[[Sequence[Any]], Any], batch: Sequence[Any], spend: float) -> float:
    """Median seconds of a forward pass over about `spend` seconds of them, at least three."""
    taken: list[float] = []
    while len(taken) < 3 or sum(taken) < spend:
        started = time.perf_counter()
        encode(batch)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)
