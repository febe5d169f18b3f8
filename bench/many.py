"""`candid classify` on a folder of photographs, beside the bare encoder on the same ones, in turn.

Two things are called the bare encoder. "decode_and_encode_s": a script with the same tower, which decodes on
threads while batches of 32 are encoded. "encode_s": the forward passes alone, on pictures decoded
before the clock starts. The command also finds the files, ranks and writes a row a picture; its time is
without loading the model, which all need.

python -m bench.many --pictures 2000 --rounds 3
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import models
from app.batch import local
from app.batch.outputs import Output
from app.batch.run import Job, Tally, run
from app.batch.sources import Sources
from bench import bare, machine
from models.classifier import Classifier, ServingOptions

RESULTS = Path(__file__).parent / "results" / "many.json"
LABELS = ("cat", "coffee cup", "astronaut", "rocket", "motorcycle", "a street at night", "a plate of food")
BATCH = 32  # pictures


def photographs(folder: Path, count: int) -> list[Path]:
    """Real photographs as JPEG files; each is another crop, so that no cache knows it."""
    import skimage.data
    from PIL import Image

    known = [skimage.data.cat(), skimage.data.coffee(), skimage.data.astronaut(), skimage.data.rocket()]
    files = []
    for index in range(count):
        picture = Image.fromarray(known[index % len(known)])
        shift = index // len(known)
        left, top = shift % 40, shift // 40 % 40
        buffer = io.BytesIO()
        picture.crop((left, top, picture.width - 40 + left, picture.height - 40 + top)).resize(
            (640, 480)
        ).save(buffer, "JPEG", quality=88)
        file = folder / f"{index:05}.jpg"
        # A comment makes each file another one, also where two crops are the same.
        file.write_bytes(buffer.getvalue() + b"%d" % index)
        files.append(file)
    return files


def pixels(classifier: Classifier, file: Path) -> Any:
    return bare.pixels(classifier, file.read_bytes())


def decode_and_encode(classifier: Classifier, files: list[Path]) -> float:
    """Seconds to decode and encode the files in batches: threads decode while the encoder works."""
    encode = bare.encoder(classifier)
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting: deque[Future[Any]] = deque()
        left = iter(files)
        while True:
            while len(waiting) < 2 * BATCH and (file := next(left, None)) is not None:
                waiting.append(pool.submit(pixels, classifier, file))
            if not waiting:
                return time.perf_counter() - started
            encode([waiting.popleft().result() for _ in range(min(BATCH, len(waiting)))])


def encode(classifier: Classifier, files: list[Path]) -> float:
    """Seconds of the forward passes alone."""
    seconds = 0.0
    for at in range(0, len(files), BATCH):
        batch = [pixels(classifier, file) for file in files[at : at + BATCH]]
        started = time.perf_counter()
        bare.encoder(classifier)(batch)
        seconds += time.perf_counter() - started
    return seconds


def command(start: Callable[[], Any], folder: Path, output: Path) -> float:
    """Seconds of the command's own run over the folder, answers written."""
    tally = Tally()
    with Output(output, asked="bench", top_k=None, overwrite=True) as kept:
        run(Job(Sources((str(folder),)), start, lambda name, answer: None, kept), tally)
    return tally.seconds


class Kept:
    """One loaded model for all rounds: a round's end does not close it."""

    def __init__(self, asker: local.Local) -> None:
        self._asker, self.told, self.warnings, self.ask = asker, asker.told, asker.warnings, asker.ask

    def close(self) -> None:
        """Nothing: the next round goes on."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="embedded")
    asked = parser.parse_args()
    # Without the cache of pictures: every round is the first.
    options = models.LoadOptions(serving=ServingOptions(image_cache_bytes=0))
    classifier = models.load(asked.model, options)
    kept = Kept(local.Local(classifier, local.plain(LABELS, (), None)))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "photographs"
        folder.mkdir()
        files = photographs(folder, asked.pictures)
        encode(classifier, files[:BATCH])  # all begin warm
        rounds = []
        for _ in range(asked.rounds):
            one = encode(classifier, files), decode_and_encode(classifier, files)
            rounds.append((command(lambda: kept, folder, Path(place) / "out.csv"), *one))
            print("command {:.2f} s, encode {:.2f} s, both {:.2f} s".format(*rounds[-1]), file=sys.stderr)
    classifier.close()
    many, encoder, both = (statistics.median(column) for column in zip(*rounds, strict=True))
    result = {
        "pictures": asked.pictures,
        "command_s": many,
        "encode_s": encoder,
        "decode_and_encode_s": both,
        "ratio_to_encode": statistics.median(one[0] / one[1] for one in rounds),
        "ratio_to_decode_and_encode": statistics.median(one[0] / one[2] for one in rounds),
        "model": classifier.info.name,
        "device": classifier.info.device,
        "machine": machine.describe(),
        "versions": machine.versions(),
        "command": f"python -m bench.many --pictures {asked.pictures} --rounds {asked.rounds}",
    }
    if asked.pictures >= 2000:  # fewer is a trial
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
