"""12-megapixel photographs, from a JPEG file to the model's pixels and to its vector.

    python -m bench.pictures --rounds 5

In turn for each photograph: open_clip's own transform (`Image.open`, then the transform that comes with the
model), Candid with every pixel decoded (CANDID_EXACT_DECODE), and Candid as it is, which lets libjpeg decode
at 1/2, 1/4 or 1/8. "end to end" adds the forward pass of the same tower on the same runner to each. Cosines
are between the vectors of both paths; the embedded model is the one here with trained weights.
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
COUNT = 12
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
    whole: dict[str, list[float]] = {way: [] for way in read}
    vectors: dict[str, list[Any]] = {way: [] for way in read}
    blank = torch.zeros(3, *classifier._images._preprocess.size, dtype=torch.uint8)
    encode([blank])
    with machine.quiet(asked.quiet):
        for _ in range(asked.rounds):
            for data in files:
                for way, pixels in read.items():
                    started = time.perf_counter()
                    made = pixels(data)
                    taken[way].append(time.perf_counter() - started)
                    # open_clip's are numbers already; the forward pass costs the same.
                    row = encode([made if made.dtype == torch.uint8 else blank])[0]
                    whole[way].append(time.perf_counter() - started)
                    vectors[way].append(row)
    cosines = [float(a @ b) for a, b in zip(vectors["candid, exact"], vectors["candid"], strict=True)]
    classifier.close()
    return {
        "decode_ms": {way: round(1e3 * statistics.median(each), 1) for way, each in taken.items()},
        "end_to_end_ms": {way: round(1e3 * statistics.median(each), 1) for way, each in whole.items()},
        "times_as_fast_decoding": ratio(taken),
        "times_as_fast_end_to_end": ratio(whole),
        "cosine_to_exact": {"min": round(min(cosines), 5), "median": round(float(np.median(cosines)), 5)},
    }


def ratio(taken: dict[str, list[float]]) -> float:
    """Median over the photographs of open_clip's time to Candid's."""
    pairs = zip(taken["open_clip"], taken["candid"], strict=True)
    return round(statistics.median(theirs / ours for theirs, ours in pairs), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quiet", help="a command, called with `begin` and `end` around what is timed")
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
