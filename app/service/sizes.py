"""How many bytes an answer takes as JSON, at most: room for it is reserved before the work."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Final

from models.labels.hierarchy import SEPARATOR

PLACE_BYTES: Final = 80
"""One place of a ranking without its label, which stands in
`{"label":,"similarity":-0.123456,"probability":1.23457e-05,"holds":false},`."""
NODE_BYTES: Final = 45
"""One node of a tree without its label."""
NUMBER_BYTES: Final = 12
"""One number of a vector, of seven digits."""
ROW_BYTES: Final = 64
"""What stands around a vector."""
OVERLAY_BYTES: Final = 512 * 512 * 3 + (16 << 10)
"""A PNG of an overlay's largest size: what cannot be packed is stored as it is."""
REST_BYTES: Final = 1024
"""What else there is of each picture: its name (200 characters), its sides or its error."""


def ranking_bytes(labels: Sequence[str], top_k: int | None, *, is_tree: bool) -> int:
    """One picture's answer."""
    sizes = [len(encode_basestring(label).encode()) for label in labels]
    shown = sizes if top_k is None else heapq.nlargest(top_k, sizes)
    size = REST_BYTES + sum(shown) + PLACE_BYTES * len(shown)
    if is_tree:  # a node for each level of each path, named by the path that far
        levels = [label.count(SEPARATOR) + 1 for label in labels]
        size += sum(level * (own + NODE_BYTES) for level, own in zip(levels, sizes, strict=True))
    return size


def vectors_bytes(vectors: int, dim: int) -> int:
    """So many vectors (D,) as numbers; base64 takes half of it."""
    return vectors * (dim * NUMBER_BYTES + ROW_BYTES)
