"""`candid classify` on a folder of photographs, beside the bare encoder on the same ones, in turn.

Two things can be called the bare encoder. "decode_and_encode_s": a script with the same tower, which reads
and decodes on threads while batches of 32 are encoded, and keeps nothing. "encode_s": the forward passes
alone, on pictures decoded before the clock starts. The command also finds the files, ranks and writes a row a
picture; its time is without loading the model, which all need. Parts of the
pictures are gone through by all ways in turn, within seconds.

python -m bench.many --rounds 3                   photographs made of scikit-image's, 640 × 480
python -m bench.many --rounds 3 --folder PHOTOS   the first of one's own; only shown

The embedded model gets 2,000 of them, a ViT-B/32 (random weights), which takes longer, 250.
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
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import models
from app.cli.batch import local
from app.cli.batch.outputs import Output
from app.cli.batch.run import Job, Tally, run
from app.cli.batch.sources import Sources
from app.model_loading import load_options
from app.requests.question import Question
from app.settings import Settings
from bench import bare, machine
from bench.weights import MODELS
from models.classifier import Classifier
from models.pretrained.catalogue import EMBEDDED

RESULTS = Path(__file__).parent / "results" / "many.json"
LABELS = ("cat", "coffee cup", "astronaut", "rocket", "motorcycle", "a street at night", "a plate of food")
PICTURES = {EMBEDDED: 2000, "ViT-B-32": 250}
PART = 500  # pictures that all ways go through in turn
BATCH = 32  # pictures


def photographs(folder: Path, count: int) -> None:
    """Real photographs as JPEG files; each is another crop, so that no cache knows it."""
    import skimage.data
    from PIL import Image

    known = [skimage.data.cat(), skimage.data.coffee(), skimage.data.astronaut(), skimage.data.rocket()]
    for index in range(count):
        picture = Image.fromarray(known[index % len(known)])
        shift = index // len(known)
        left, top = shift % 40, shift // 40 % 40
        buffer = io.BytesIO()
        picture.crop((left, top, picture.width - 40 + left, picture.height - 40 + top)).resize(
            (640, 480)
        ).save(buffer, "JPEG", quality=88)
        # What follows the picture makes each file another one, also where two crops are the same.
        (folder / f"{index:05}.jpg").write_bytes(buffer.getvalue() + b"%d" % index)


def decode_and_encode(classifier: Classifier, files: Sequence[Path]) -> float:
    """Seconds to read, decode and encode: threads decode while the encoder works."""
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


def pixels(classifier: Classifier, file: Path) -> Any:
    return bare.pixels(classifier, file.read_bytes())


def encode_only(classifier: Classifier, decoded: Sequence[Any]) -> float:
    """Seconds of the forward passes."""
    encode = bare.encoder(classifier)
    started = time.perf_counter()
    for at in range(0, len(decoded), BATCH):
        encode(decoded[at : at + BATCH])
    return time.perf_counter() - started


class Kept:
    """One loaded model for all rounds: a round's end does not close it."""

    def __init__(self, asker: local.Local) -> None:
        self._asker, self.common, self.warnings, self.ask = asker, asker.common, asker.warnings, asker.ask

    def close(self) -> None:
        """Nothing: the next round goes on."""


def command(kept: Kept, sources: Sources, output: Path) -> float:
    """Seconds of the command's own run over the pictures, answers written."""
    tally = Tally()
    with Output(output, asked="bench", top_k=None, overwrite=True) as rows:
        run(Job(sources, lambda: kept, lambda name, answer: None, rows), tally)
    return tally.seconds


def measured(
    classifier: Classifier, names: Sequence[str], output: Path, rounds: int
) -> dict[str, int | float]:
    """Each part's fastest rounds, added up: what else the machine does only makes a round slower."""
    kept = Kept(local.Local(classifier, Question(labels=tuple(LABELS)), Settings()))
    fastest: Counter[str] = Counter()
    ratios: dict[str, list[float]] = {"decode_and_encode": [], "encode": []}
    for at in range(0, len(names), PART):
        part = tuple(names[at : at + PART])
        files = [Path(name) for name in part]
        decoded = [pixels(classifier, file) for file in files]
        ways: list[tuple[str, Callable[[], float]]] = [
            ("command", partial(command, kept, Sources(part), output)),
            ("decode_and_encode", partial(decode_and_encode, classifier, files)),
            ("encode", partial(encode_only, classifier, decoded)),
        ]
        seconds = []
        for turn in range(rounds):
            seconds.append({name: way() for name, way in machine.rotated(ways, turn)})
            print({name: round(value, 2) for name, value in seconds[-1].items()}, file=sys.stderr)
        fastest.update({name: min(one[name] for one in seconds) for name, _ in ways})  # adds
        for name, every in ratios.items():
            every += [one["command"] / one[name] for one in seconds]
    return {
        "pictures": len(names),
        **{f"{name}_s": round(value, 3) for name, value in fastest.items()},
        **{f"ratio_to_{name}": round(fastest["command"] / fastest[name], 3) for name in ratios},
        **{f"median_ratio_to_{name}": round(statistics.median(every), 3) for name, every in ratios.items()},
    }


def of_model(name: str, folder: Path | None, rounds: int) -> dict[str, Any]:
    """One model's figures, over a folder of one's own or over made photographs."""
    classifier = models.load(str(MODELS[name]()), local.for_many(load_options(Settings())))
    with tempfile.TemporaryDirectory() as place:
        if folder is None:
            photographs(Path(place), PICTURES[name])
        names = [found.name for found in Sources((str(folder or place),))][: PICTURES[name]]
        figures = measured(classifier, names, Path(place) / "out.csv", rounds)
    classifier.close()
    return {**figures, "device": classifier.info.device, "encoder": classifier.info.encoder}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    result = {
        "command": f"python -m bench.many --rounds {asked.rounds}",
        "machine": machine.describe(),
        "versions": machine.versions(),
        "models": {name: of_model(name, asked.folder, asked.rounds) for name in PICTURES},
    }
    if asked.folder is None:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
