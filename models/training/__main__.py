"""`python -m models.training STEP`: make the embedded model from the corpus, from nothing to a folder.

    prepare   decode the pictures once                      (3.4 GB in the cache)
    text      distil the text tower from the text teacher
    joint     train both towers on the pairs
    tune      train the text tower on the pictures' vectors
    export    write the folder that `models.load` reads
    plot      draw the run
    all       these in order

Every step may be interrupted at any moment and run again: it goes on where it was. A larger --hours continues
a finished run. Needs the `training` extra, the corpus, and WordNet (Debian: wordnet-base).
"""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "candid" / "training"
STEPS = ("prepare", "text", "joint", "tune", "export", "plot")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m models.training", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("step", choices=(*STEPS, "all"))
    add("--corpus", type=Path, default=Path("../shared/corpus"), help="folder of the training pairs")
    add("--eval", type=Path, default=Path("../shared/eval"), help="folder to measure with, never trained on")
    add("--words", type=Path, default=Path("/usr/share/wordnet"), help="folder of WordNet's data.noun")
    add("--cache", type=Path, default=_CACHE, help="folder of decoded pictures and checkpoints")
    add("--out", type=Path, default=Path("models/embedded"), help="folder to export to")
    add("--begin-with", type=Path, help="exported folder to go on from where no checkpoint is")
    add("--image-tower", default="resnet18", help="timm model, trained from random weights")
    add(
        "--half-images",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="convolutions in bfloat16 where the processor has it; slower for towers of depthwise ones",
    )
    add("--image-size", type=int, default=128, help="px, at the end of the training and when serving")
    add("--batch", type=int, default=192, help="pictures a step of `joint`, over all processes")
    add("--hours", type=float, default=8.0, help="wall-clock budget of `joint`, earlier runs included")
    add("--text-hours", type=float, default=0.5, help="wall-clock budget of `text`, earlier runs included")
    add("--tune-hours", type=float, default=0.3, help="wall-clock budget of `tune`, earlier runs included")
    add(
        "--processes",
        type=int,
        default=os.cpu_count() or 1,
        help="train together, one thread each; always one where there is a GPU",
    )
    add("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    import torch

    chosen = options()
    torch.set_num_threads(1)  # processes are forked, and each has one
    torch.manual_seed(chosen.seed)
    if torch.cuda.is_available():
        chosen.processes = 1
    for step in STEPS if chosen.step == "all" else (chosen.step,):
        importlib.import_module(f"models.training.{_MODULES.get(step, step)}").run(chosen)


# The module whose `run` takes the step; the others are called as their step is.
_MODULES = {"prepare": "data"}

if __name__ == "__main__":
    main()
