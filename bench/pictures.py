"""12-megapixel photographs, from a JPEG file to the numbers that the tower takes.

    python -m bench.pictures --rounds 5

In turn for each photograph: open_clip's own transform (`Image.open`, then the transform that comes with the
model), Candid with every pixel decoded (CANDID_EXACT_DECODE), and Candid as it is, which lets libjpeg decode
at 1/2, 1/4 or 1/8. Seconds are the thread's own on the processor, so that other programs beside it take
little from a way. The files are of three qualities: undoing a JPEG's Huffman code costs the same at every
scale, so the more bytes a file has, the less a smaller scale can save. Cosines are between the vectors of
both of Candid's, by the embedded model: the ViT-B/32 here has random weights.
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
from app.model_loading import load_options
from app.settings import Settings
from bench import bare, machine, photographs
from bench.weights import MODELS
from models.classifier import Classifier
from models.encoders.towers import Normalise
from models.images.decode import ImageLimits, decode
from models.pretrained.catalogue import EMBEDDED

RESULTS = Path(__file__).parent / "results" / "pictures.json"
COUNT = 6
QUALITIES = (75, 90, 95)

Read = Callable[[bytes], Any]  # a JPEG file -> pixels (3, S, S)


def own_ways(classifier: Classifier) -> dict[str, Read]:
    """Candid's two, to uint8: the worker normalises a whole batch on the device."""
    preprocess = classifier._images._preprocess
    return {
        "candid, exact": lambda data: preprocess.pixels(decode(data, ImageLimits()).rgb),
        "candid": lambda data: bare.pixels(classifier, data),
    }


def ways(classifier: Classifier) -> dict[str, Read]:
    """All three, to normalised float32."""
    normalise = Normalise(classifier._images._preprocess)
    own: dict[str, Read] = {
        way: lambda data, read=read: normalise(torch.from_numpy(read(data)))
        for way, read in own_ways(classifier).items()
    }
    return {"open_clip": open_clips(classifier), **own}


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


def one(classifier: Classifier, files: list[bytes], rounds: int) -> dict[str, Any]:
    read = ways(classifier)
    taken: dict[str, list[float]] = {way: [] for way in read}
    for _ in range(rounds):
        for data in files:
            for way, pixels in read.items():
                started = time.thread_time()
                pixels(data)
                taken[way].append(time.thread_time() - started)
    pairs = zip(taken["open_clip"], taken["candid"], strict=True)
    return {
        "mean_bytes": sum(map(len, files)) // len(files),
        "ms": {way: round(1e3 * statistics.median(each), 1) for way, each in taken.items()},
        "times_as_fast": round(statistics.median(theirs / ours for theirs, ours in pairs), 2),
    }


def cosines(classifier: Classifier, files: list[bytes]) -> dict[str, float]:
    """Between the vectors of every pixel decoded and of the smaller scale."""
    encode = bare.encoder(classifier)
    exact, served = (encode([read(data) for data in files]) for read in own_ways(classifier).values())
    found = (exact * served).sum(axis=1)
    return {"min": round(float(found.min()), 5), "median": round(float(np.median(found)), 5)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)  # a thread's own seconds are counted
    files = {f"quality {each}": photographs.large(COUNT, each) for each in QUALITIES}
    found: dict[str, dict[str, Any]] = {}
    for name, folder in MODELS.items():
        classifier = models.load(str(folder()), load_options(Settings()))
        found[name] = {quality: one(classifier, given, asked.rounds) for quality, given in files.items()}
        if name == EMBEDDED:
            for quality, given in files.items():
                found[name][quality]["cosine_to_exact"] = cosines(classifier, given)
        classifier.close()
    result = {
        "command": f"python -m bench.pictures --rounds {asked.rounds}",
        "machine": machine.describe(),
        "versions": machine.versions(),
        "photographs": {"count": COUNT, "size": photographs.LARGE},
        "models": found,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
