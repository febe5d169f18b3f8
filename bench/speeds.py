"""What one picture costs in the image tower of each model of the catalogue: `python -m bench.speeds`.

Towers have random weights, which cost what trained ones do, so nothing is fetched. Each runs in float32
and in torch, one picture at a time on one thread. The seconds are the processor's, not the clock's, so that
other programs beside it take little from a tower; the median of several pictures counts. Models named on the
command line are measured anew (all without), and the figures go to bench/results/speeds.json, from where
docs/choosing-a-model.md has them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from open_clip import get_model_config
from open_clip.model import _build_vision_tower

from bench import machine
from models.encoders.towers import fold_branches
from models.pretrained.catalogue import CATALOGUE, EMBEDDED

RESULTS = Path(__file__).parent / "results" / "speeds.json"
EMBEDDED_CONFIG = Path(__file__).parents[1] / "models" / "embedded" / "open_clip_config.json"
ROUNDS = 5


def config_of(architecture: str) -> dict[str, Any]:
    if architecture == EMBEDDED:
        embedded: dict[str, Any] = json.loads(EMBEDDED_CONFIG.read_text("utf-8"))["model_cfg"]
        return embedded
    known: dict[str, Any] = get_model_config(architecture)
    return known


def build(architecture: str) -> tuple[torch.nn.Module, torch.Tensor]:
    """The image tower, and a picture (1, 3, S, S) for it."""
    config = config_of(architecture)
    tower = _build_vision_tower(config["embed_dim"], config["vision_cfg"], config.get("quick_gelu", False))
    size = config["vision_cfg"].get("image_size", 224)
    fold_branches(tower)
    return tower.eval().requires_grad_(False), torch.rand(1, 3, size, size)


def seconds(tower: torch.nn.Module, picture: torch.Tensor, rounds: int = ROUNDS) -> float:
    """The processor's seconds for one picture: the median of `rounds`, after one that is not counted."""
    taken = []
    with torch.inference_mode():
        for _ in range(rounds + 1):
            started = time.process_time()
            tower(picture)
            taken.append(time.process_time() - started)
    return statistics.median(taken[1:])


def main() -> None:
    architectures = list(dict.fromkeys(row.architecture for row in CATALOGUE))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("architecture", nargs="*", default=architectures)
    chosen = parser.parse_args().architecture
    torch.set_num_threads(1)
    for architecture in chosen:
        keep(architecture, seconds(*build(architecture)))


def keep(architecture: str, taken: float) -> None:
    """Write one figure beside those that are there."""
    print(f"{architecture}\t{taken:.3f} s")
    known = json.loads(RESULTS.read_text("utf-8"))["seconds"] if RESULTS.exists() else {}
    result = {
        "command": "python -m bench.speeds",
        "machine": machine.describe(),
        "versions": machine.versions(),
        "seconds": {**known, architecture: float(f"{taken:.3g}")},
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
