"""What the image tower makes of every picture, in three views, computed once; and what its classifier says.

Notable: the classifier's probabilities are the soft labels, and its rows stand for pictures of all 1,000
classes, also of those that the corpus has no picture of. Parts are renamed when whole: an interrupted run
goes on at the next part.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.training.corpus import dataset
from models.training.model import augmentation, efficientnet_lite, ridge, towers

PART = 4000  # pictures a file
VIEWS = 3  # the middle, a crop, a small one
SOFT = 8  # soft labels a picture
SURE = 0.6  # probability from which a picture shows what the classifier says
ENOUGH = 5  # pictures of which a class' mean is taken
RIDGE = 0.3  # of the map from a class' row to its mean, times the mean variance of the rows

Encode = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # pixels (B, 3, S, S) -> features (B, F)


@dataclass(frozen=True, slots=True)
class Features:
    """Of N pictures."""

    views: NDArray[np.float16]  # (N, VIEWS, F)
    soft_ids: NDArray[np.int64]  # (N, SOFT) ImageNet classes
    soft_p: NDArray[np.float32]  # (N, SOFT) their probabilities; rows sum to 1
    of_classes: NDArray[np.float32]  # (1000, F) what a picture of each class would have
    spread: NDArray[np.float32]  # (F,) standard deviation within a class


def compute(corpus: dataset.Corpus, encode: Encode, side: int, cache: Path) -> None:
    """Write features-NNN.npy, those that are not there yet."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, start in enumerate(range(0, len(corpus), PART)):
            part, began = cache / f"features-{number:03d}.npy", time.monotonic()
            if part.is_file():
                continue
            chosen = range(start, min(start + PART, len(corpus)))
            rows = np.stack(list(pool.map(lambda i: encode(_views(corpus.picture(i), side, i)), chosen)))
            aside = part.with_suffix(".tmp")
            with aside.open("wb") as file:
                np.save(file, rows.astype(np.float16))
            aside.rename(part)
            rate = len(chosen) / (time.monotonic() - began)
            print(
                f"prepare: features of {chosen.stop}/{len(corpus)} pictures, {rate:.0f} a second", flush=True
            )


def _views(file: bytes, side: int, seed: int) -> NDArray[np.float32]:
    """(VIEWS, 3, S, S) of one picture."""
    rng = random.Random(seed)
    seen = [
        augmentation.centre(file, side),
        augmentation.crop(file, side, rng),
        augmentation.small(file, side, rng),
    ]
    return augmentation.normalise(np.stack(seen))


def encoder(trunk: Any, side: int) -> Encode:
    """The tower, frozen. On a CPU by OpenVINO with a stream a core, three times as fast as torch."""
    on = towers.device()
    if on.type == "cuda" or not importlib.util.find_spec("openvino"):

        @torch.no_grad()
        def by_torch(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
            given = torch.from_numpy(pixels).to(on, memory_format=torch.channels_last)
            return towers.pooled(trunk, given).cpu().numpy()

        return by_torch
    import openvino

    from models.encoders.openvino_export import graph_of

    graph = graph_of(
        towers.Pooled(trunk).eval(), (torch.zeros(VIEWS, 3, side, side),), [(VIEWS, 3, side, side)]
    )
    compiled: Any = openvino.Core().compile_model(graph, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
    return lambda pixels: compiled.create_infer_request().infer([pixels])[0]


def load(cache: Path, classifier: efficientnet_lite.Lite) -> Features:
    """All parts, and what the classifier says of them."""
    kept = np.concatenate([np.load(part) for part in sorted(cache.glob("features-*.npy"))])
    middle = torch.from_numpy(kept[:, 0]).float()  # (N, F)
    p = (middle @ classifier.rows.T + classifier.bias).softmax(dim=1)  # (N, 1000)
    soft_p, soft_ids = p.topk(min(SOFT, p.shape[1]), dim=1)
    of_classes, spread = _of_classes(middle, p, classifier.rows)
    soft_p /= soft_p.sum(dim=1, keepdim=True)
    return Features(kept, soft_ids.numpy(), soft_p.numpy(), of_classes.numpy(), spread.numpy())


def _of_classes(
    middle: torch.Tensor, p: torch.Tensor, rows: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean features of every class, by ridge regression from its row of the classifier; and their spread."""
    best, top = p.max(dim=1)
    shown = [((top == c) & (best > SURE)).nonzero().flatten() for c in range(len(rows))]
    have = [c for c, pictures in enumerate(shown) if len(pictures) >= ENOUGH]
    if not have:
        return middle.mean(dim=0).expand(len(rows), -1).clone(), middle.std(dim=0)
    means = torch.stack([middle[shown[c]].mean(dim=0) for c in have])  # (H, F)
    spread = torch.stack([middle[shown[c]].std(dim=0) for c in have]).mean(dim=0)  # (F,)
    centred = rows - rows.mean(dim=0)
    known = centred[have]  # (H, F)
    slope = ridge.solve(known.T @ known, known.T @ (means - means.mean(dim=0)), RIDGE)  # (F, F)
    found = centred @ slope + means.mean(dim=0)
    return found, spread


def run(chosen: argparse.Namespace) -> None:
    """The second half of the `prepare` step of the command line."""
    corpus = dataset.load(chosen.corpus, chosen.cache)
    model = towers.build(towers.config(chosen.image_tower, chosen.image_size))
    efficientnet_lite.put_into(model.visual.trunk, efficientnet_lite.read(chosen.lite, chosen.image_tower))
    model.visual.eval().to(towers.device())
    compute(corpus, encoder(model.visual.trunk, chosen.image_size), chosen.image_size, chosen.cache)
