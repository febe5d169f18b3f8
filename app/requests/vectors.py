"""Embeddings that a caller sends back, checked and brought to unit norm."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidRequest


def vectors_of(embeddings: Sequence[Any], dim: int) -> list[NDArray[np.float32]]:
    """Vectors (D,) from lists of numbers or base64 of little-endian float32, brought to unit norm."""
    return [_vector(value, dim, f"embeddings[{index}]") for index, value in enumerate(embeddings)]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)  # and no bool


def _vector(value: Any, dim: int, field: str) -> NDArray[np.float32]:
    wanted = (
        f"{field} must be {dim} finite numbers, or base64 of so many little-endian float32, and not all zero"
    )
    try:
        if isinstance(value, str):
            if len(value) != -(-dim * 4 // 3) * 4:
                raise InvalidRequest(wanted, field=field)
            vector = np.frombuffer(base64.b64decode(value, validate=True), dtype="<f4").astype(np.float64)
        elif isinstance(value, list) and len(value) == dim and all(map(_is_number, value)):
            vector = np.array(value, dtype=np.float64)
        else:
            raise InvalidRequest(wanted, field=field)
    except (binascii.Error, ValueError, OverflowError):
        raise InvalidRequest(wanted, field=field) from None
    with np.errstate(over="ignore"):
        norm = float(np.linalg.norm(vector))
    if vector.shape != (dim,) or not np.isfinite(norm) or norm == 0:
        raise InvalidRequest(wanted, field=field)
    unit: NDArray[np.float32] = (vector / norm).astype(np.float32)
    return unit
