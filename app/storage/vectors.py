"""Embeddings as they stand in the database."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]


def to_bytes(vectors: Vectors) -> bytes:
    """Little-endian float32, whatever the machine."""
    return np.ascontiguousarray(vectors, dtype="<f4").tobytes()


def from_bytes(data: bytes) -> Vectors:
    """And back."""
    return np.frombuffer(data, dtype="<f4").astype(np.float32)
