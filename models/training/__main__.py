"""`python -m models.training STEP`: make the embedded model from the corpus and the packages.

    prepare   copy the pictures, and compute the image tower's features of them once
    text      distil the text tower from the text teacher
    locked    train the text tower and the projection against those features
    joint     train both towers on the pairs
    finish    average with what `joint` began with; the projection in closed form
    export    write the folder that `models.load` reads
    plot      draw the run
    all       these in order

Every step may be interrupted at any moment and run again: it goes on where it was. A larger --hours continues
a finished phase. Needs the `training` extra, the corpus, and WordNet (Debian: wordnet-base).
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Sequence
from pathlib import Path

from models.training.model import efficientnet_lite

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "candid" / "training"
# Each step's modules, whose `run` are called in turn.
STEPS = {
    "prepare": ("corpus.dataset", "model.image_features"),
    "text": ("loop.train",),
    "locked": ("loop.train",),
    "joint": ("loop.train",),
    "finish": ("loop.finish",),
    "export": ("model.export",),
    "plot": ("loop.plot",),
}


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m models.training", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("step", choices=(*STEPS, "all"))
    add("--corpus", type=Path, default=Path("../shared/corpus"), help="folder of the training pairs")
    add("--eval", type=Path, default=Path("../shared/eval"), help="folder to measure with, never trained on")
    add("--words", type=Path, default=Path("/usr/share/wordnet"), help="folder of WordNet's data.noun")
    add("--cache", type=Path, default=_CACHE, help="folder of features and checkpoints")
    add("--out", type=Path, default=Path("models/embedded"), help="folder to export to")
    add("--begin-with", type=Path, help="exported folder whose text tower to go on from")
    add("--image-tower", default=efficientnet_lite.TOWER, help="timm's EfficientNet-Lite")
    add("--lite", type=Path, help="file of its weights; default: its package's")
    add("--image-size", type=int, default=efficientnet_lite.SIDE, help="px")
    add("--hours", type=float, help="wall-clock budget of each phase; default: the phase's own")
    add("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    import torch

    chosen = options(arguments)
    chosen.lite = chosen.lite or efficientnet_lite.package_file(chosen.image_tower)
    torch.manual_seed(chosen.seed)
    for step in STEPS if chosen.step == "all" else (chosen.step,):
        one = argparse.Namespace(**{**vars(chosen), "step": step})
        for module in STEPS[step]:
            importlib.import_module(f"models.training.{module}").run(one)


if __name__ == "__main__":
    main()
