"""How far half precision is from single: cosines of vectors, and the first label of photographs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import models
from bench import photographs
from bench.gpu.apart import Notes
from bench.gpu.work import ARCHITECTURES, Work
from models.classifier import ServingOptions
from models.scoring.out_of_set import nouns

Rows = NDArray[np.float32]


def measure(work: Work, note: Notes) -> None:
    """The embedded model, whose weights are trained, and towers at random weights."""
    for name in ("embedded", *ARCHITECTURES[: 1 if work.tiny else 2]):
        # The last is large for a CPU, which computes what all are compared with.
        pictures, words = (1, 4) if work.tiny else (16, 100) if name == ARCHITECTURES[-1] else (64, 1000)
        files, labels = photographs.small(pictures), list(nouns())[:words]
        spec = name if name == "embedded" else str(work.model(name).resolve())
        precise = answers(work, spec, "cpu", "fp32", files, labels)
        found = {}
        for precision in ("fp32", "bf16") if work.half == "bf16" else ("fp32", "fp16", "bf16"):
            other = answers(work, spec, work.device, precision, files, labels)
            found[precision] = beside(precise, other)
            note(**{name: {"pictures": len(files), "labels": len(labels), **found}})


def answers(
    work: Work, spec: str, device: str, precision: str, files: Sequence[bytes], labels: Sequence[str]
) -> tuple[Rows, Rows]:
    """Pictures' rows (B, D) and labels' rows (N, D)."""
    serving = ServingOptions(text_cache_bytes=0, image_cache_bytes=0)
    options = models.LoadOptions(device=device, precision=precision, encoder="torch", serving=serving)
    classifier = models.load(spec, options)
    try:
        pictures = [classifier.embed_image(data) for data in files]
        texts = classifier.label_matrix(labels).result().vectors
        return np.stack([each.result().vector for each in pictures]), np.asarray(texts)
    finally:
        classifier.close()


def beside(precise: tuple[Rows, Rows], other: tuple[Rows, Rows]) -> dict[str, Any]:
    """The lowest and the median cosine, and how often the first label is another one."""
    cosines = [(a * b).sum(axis=1) for a, b in zip(precise, other, strict=True)]
    first = [(pictures @ labels.T).argmax(axis=1) for pictures, labels in (precise, other)]
    return {
        "lowest_cosine": round(float(min(each.min() for each in cosines)), 6),
        "median_cosine": round(float(np.median(cosines[0])), 6),
        "other_first_label": int((first[0] != first[1]).sum()),
    }
