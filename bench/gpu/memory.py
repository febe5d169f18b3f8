"""Too little memory while pictures are encoded: all of them are answered, and the service goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

import models
from bench import photographs
from bench.gpu.apart import Notes
from bench.gpu.work import ARCHITECTURES, Work
from models.classifier import Classifier, ServingOptions


def measure(work: Work, note: Notes) -> None:
    """An error that is made up, and on a GPU one that the allocator raises by itself."""
    count = 8 if work.tiny else 256
    files = photographs.small(count)
    serving = ServingOptions(max_batch=count, image_cache_bytes=0, fill_batches=True)
    options = models.LoadOptions(device=work.device, precision=work.half, encoder="torch", serving=serving)
    classifier = models.load(str(work.model(ARCHITECTURES[0]).resolve()), options)
    ways: dict[str, Callable[[], Any]] = {"made_up": lambda: made_up(classifier, count // 4)}
    if work.device.startswith("cuda"):
        note(device_mib=round(torch.cuda.mem_get_info()[1] / 2**20))
        ways["real"] = lambda: short_of(count * 3 * classifier.info.image_size**2 // 2)
    try:
        before = vectors(classifier, files)
        for name, way in ways.items():
            with way():
                during = vectors(classifier, files)
            after = vectors(classifier, files)
            note(**{name: {**compared(before, during, after), "ready": classifier.ready()}})
    finally:
        classifier.close()


def vectors(classifier: Classifier, files: Sequence[bytes]) -> list[Any]:
    """Each picture's vector, or the error that it got."""
    futures = [classifier.embed_image(data) for data in files]
    return [each.exception() or each.result().vector for each in futures]


def compared(before: list[Any], during: list[Any], after: list[Any]) -> dict[str, Any]:
    answered = [(a, b) for a, b in zip(before, during, strict=True) if not isinstance(b, Exception)]
    return {
        "pictures": len(before),
        "answered": len(answered),
        "answered_after": sum(not isinstance(each, Exception) for each in after),
        "lowest_cosine": round(min((float(np.dot(a, b)) for a, b in answered), default=float("nan")), 6),
    }


@contextmanager
def made_up(classifier: Classifier, most: int) -> Iterator[None]:
    """The encoder has no memory for more than `most` pictures."""
    lane = classifier._batcher.lane("images")
    encode = lane.encode

    def short(batch: Sequence[Any]) -> Any:
        if len(batch) > most:
            raise torch.OutOfMemoryError("made up by bench.gpu")
        return encode(batch)

    lane.encode = short
    try:
        yield
    finally:
        lane.encode = encode


@contextmanager
def short_of(left: int) -> Iterator[None]:
    """The allocator may take `left` bytes more, which a batch's half needs and the whole does not have."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + left * 1.2) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
