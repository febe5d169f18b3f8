"""What Candid's service is measured against: its own encoder with nothing around it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from models.classifier import Classifier
from models.encoders.build import build
from models.encoders.towers import Towers
from models.images.decode import ImageLimits, decode
from models.pretrained.files import Source


def encoder(classifier: Classifier) -> Callable[[Sequence[Any]], Any]:
    """The forward pass as the worker calls it: tensors uint8 (3, S, S) -> unit rows (B, D)."""
    return classifier._batcher.lane("images").encode


def products(side: int = 2048) -> float:
    """float32 matrix products that torch does a second, in FLOP, the best of four: no tower can do more."""
    a, b = torch.rand(side, side), torch.rand(side, side)
    taken = []
    for _ in range(4):
        started = time.perf_counter()
        a @ b
        taken.append(time.perf_counter() - started)
    return 2 * side**3 / min(taken)


def towers(source: Source, precision: str) -> Towers:
    """A model's towers on torch and the CPU."""
    return build(source, "cpu", precision, None)[0]


def flops_of(tower: torch.nn.Module, size: int) -> int:
    """FLOP of the matrix products and convolutions of one picture."""
    counter = FlopCounterMode(display=False)
    torch.backends.mha.set_fastpath_enabled(False)  # of which the counter sees nothing
    with torch.no_grad(), counter:
        tower(torch.zeros(1, 3, size, size, dtype=torch.uint8, device=next(tower.parameters()).device))
    torch.backends.mha.set_fastpath_enabled(True)
    return int(counter.get_total_flops())


def pixels(classifier: Classifier, data: bytes) -> Any:
    """A photograph as the encoder takes it: uint8 (3, S, S), decoded at the scale that the model needs."""
    preprocess = classifier._images._preprocess
    picture = decode(data, ImageLimits(), at_least=preprocess.at_least)
    return preprocess.pixels(picture.rgb)


def times(encode: Callable[[Sequence[Any]], Any], batch: Sequence[Any], spend: float) -> list[float]:
    """Seconds of each forward pass over about `spend` seconds of them, at least three."""
    taken: list[float] = []
    while len(taken) < 3 or sum(taken) < spend:
        started = time.perf_counter()
        encode(batch)
        taken.append(time.perf_counter() - started)
    return taken


def seconds(encode: Callable[[Sequence[Any]], Any], batch: Sequence[Any], spend: float) -> float:
    """Their median."""
    return statistics.median(times(encode, batch, spend))
