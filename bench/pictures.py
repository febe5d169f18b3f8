"""12-megapixel photographs, from a JPEG file to the model's pixels and to its vector.

    python -m bench.pictures --rounds 5

In turn for each photograph: open_clip's own transform (`Image.open`, then the transform that comes with the
model), Candid with every pixel decoded (CANDID_EXACT_DECODE), and Candid as it is, which lets libjpeg decode
at 1/2, 1/4 or 1/8. Seconds are the thread's own on the processor, so that other programs beside it take
little from a way. Cosines are between the vectors of both of Candid's; the embedded model is the one here
with trained weights.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import models
from app.main import load_options
from app.settings import Settings
from bench import bare, machine, photographs, weights
from models.classifier import Classifier
from models.image import ImageLimits, decode

RESULTS = Path(__file__).parent / "results" / "pictures.json"
COUNT = 6
MODELS = {"ViT-B-32": weights.for_open_clip, "embedded": lambda: "embedded"}

Read = Callable[[bytes], torch.Tensor]  # a JPEG file -> uint8 (3, S, S), or float32 from open_clip


def ways(classifier: Classifier) -> dict[str, Read]:
    preprocess = classifier._images._preprocess
    return {
        "open_clip": open_clips(classifier),
        "candid, exact": lambda data: preprocess.pixels(decode(data, ImageLimits()).rgb),
        "candid": lambda data: bare.pixels(classifier, data),
    }


def open_clips(classifier: Classifier) -> Read:
    """open_clip's transform with what the model was trained with."""
    from open_clip.transform import PreprocessCfg, image_transform_v2

    own = classifier._images._preprocess
    config = PreprocessCfg(
        size=own.size,
        mean=own.mean,
        std=own.std,
        interpolation=own.interpolation,
        resize_mode=own.resize_mode,
    )
    transform = image_transform_v2(config, is_train=False)
    return lambda data: transform(Image.open(io.BytesIO(data)))


def one(name: str, files: list[bytes], asked: argparse.Namespace) -> dict[str, Any]:
    classifier = models.load(str(MODELS[name]()), load_options(Settings()))
    read, encode = ways(classifier), bare.encoder(classifier)
    taken: dict[str, list[float]] = {way: [] for way in read}
    for _ in range(asked.rounds):
        for data in files:
            for way, pixels in read.items():
                started = time.thread_time()
                pixels(data)
                taken[way].append(time.thread_time() - started)
    exact, served = (encode([read[way](data) for data in files]) for way in ("candid, exact", "candid"))
    cosines = (exact * served).sum(axis=1)
    classifier.close()
    pairs = zip(taken["open_clip"], taken["candid"], strict=True)
    return {
        "ms": {way: round(1e3 * statistics.median(each), 1) for way, each in taken.items()},
        "times_as_fast": round(statistics.median(theirs / ours for theirs, ours in pairs), 2),
        "cosine_to_exact": {
            "min": round(float(cosines.min()), 5),
            "median": round(float(np.median(cosines)), 5),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    files = photographs.large(COUNT)
    result = {
        "command": f"python -m bench.pictures --rounds {asked.rounds}",
        "machine": machine.describe(),
        "versions": machine.versions(),
        "photographs": {
            "count": COUNT,
            "size": photographs.LARGE,
            "mean_bytes": sum(map(len, files)) // COUNT,
        },
        "models": {name: one(name, files, asked) for name in MODELS},
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
