"""Towers of other geometry than the embedded model's, to carry what was fitted on it to.

Earlier embedded models are in git's history. Others are made here: a model's texts and pictures lie in cones
of their own, far from each other (the modality gap, arXiv 2203.02053), which a common offset does to vectors.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = "models/embedded"
FILES = ("open_clip_config.json", "open_clip_model.safetensors", "SHA256SUMS")
OFFSETS = {
    "its pictures moved by 0.5": (0.5, 0.0),
    "its texts moved by 0.5": (0.0, 0.5),
    "both moved by 1": (1.0, 1.0),
}

Floats = NDArray[Any]


def earlier(into: Path) -> Iterator[tuple[str, Path]]:
    """The newest weights of each image tower before the present one: its name, and a folder to load."""
    commits = _git("log", "--format=%h", "--", f"{FOLDER}/{FILES[1]}").decode().split()
    seen = {_tower(commits[0])}
    for commit in commits[1:]:
        if (name := _tower(commit)) not in seen:
            seen.add(name)
            folder = into / commit
            folder.mkdir()
            for file in FILES:
                (folder / file).write_bytes(_git("show", f"{commit}:{FOLDER}/{file}"))
            yield name, folder


def moved(vectors: Floats, by: float, seed: int) -> Floats:
    """Unit rows (M, D), all moved by one random vector of length `by`, and brought to unit length again."""
    aside = np.random.default_rng(seed).normal(size=vectors.shape[1])
    far = vectors + by * aside / np.linalg.norm(aside)
    return np.asarray(far / np.linalg.norm(far, axis=1, keepdims=True), dtype=np.float32)


def _tower(commit: str) -> str:
    vision = json.loads(_git("show", f"{commit}:{FOLDER}/{FILES[0]}"))["model_cfg"]["vision_cfg"]
    return f"{vision['timm_model_name']}, {vision['image_size']} px"


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], check=True, capture_output=True).stdout
