"""The trained towers as the folder that `models.load` reads: config, float16 safetensors, checksum."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from models.training.model import checkpoint, towers

WEIGHTS = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"
CHECKSUMS = "SHA256SUMS"
FINISHED = "finished.pt"  # what the step `finish` leaves
ARCHITECTURE = "candid-embedded"
MAX_BYTES = 50_000_000  # what the repository has room for


def write(folder: Path, state: dict[str, torch.Tensor], configuration: dict[str, Any]) -> None:
    """Write `state` in float16 and its config; counters of batches are left as integers."""
    folder.mkdir(parents=True, exist_ok=True)
    half = {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in state.items()
    }
    save_file(half, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / WEIGHTS).chmod(0o644)  # safetensors writes files that only their owner reads
    size = (folder / WEIGHTS).stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{folder / WEIGHTS} has {size} bytes, more than {MAX_BYTES}")
    (folder / CONFIG).write_text(json.dumps(configuration, indent=2) + "\n")
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    (folder / CHECKSUMS).write_text(f"{digest}  {WEIGHTS}\n")


def read_text(folder: Path, text: Any) -> None:
    """Load only the text tower of what `write` wrote, for a run with another image tower."""
    weights = load_file(folder / WEIGHTS)
    text.load_state_dict(
        {name.removeprefix("text."): value for name, value in weights.items() if name.startswith("text.")}
    )


def run(chosen: argparse.Namespace) -> None:
    """The `export` step of the command line."""
    state = checkpoint.load(chosen.cache / FINISHED)
    if state is None:
        raise FileNotFoundError(f"{chosen.cache} holds no {FINISHED}: run `finish` first")
    configuration = towers.config(chosen.image_tower, chosen.image_size)
    configuration["architecture"] = ARCHITECTURE
    configuration["tag"] = f"{state['seen']}-pictures"
    write(chosen.out, state["model"], configuration)
    print(f"wrote {chosen.out}: {state['seen']} pictures seen by both towers")
