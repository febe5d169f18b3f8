"""What Candid's service is measured against: its own encoder with nothing around it."""

from __future__ import annotations

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
    """Mean seconds of a forward pass over about `spend` seconds of them, at least two."""
    count, started = 0, time.perf_counter()
    while count < 2 or time.perf_counter() - started < spend:
        encode(batch)
        count += 1
    return (time.perf_counter() - started) / count
