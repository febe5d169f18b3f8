"""A picture with its explanation over it: relevance as warmth, on the part that the model saw."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_SIDE: Final = 512
"""Pixels of an overlay's longer side."""
# Warmth from none to all as (red, green, blue, opacity): black body, so that grey pictures keep their detail.
_WARMTH: Final = np.array(
    [(0, 0, 60, 0.4), (110, 0, 110, 0.45), (220, 40, 40, 0.5), (255, 160, 0, 0.55), (255, 255, 120, 0.6)]
)

Box = tuple[float, float, float, float]


def thumbnail(rgb: Image.Image, width: int, height: int) -> Image.Image:
    """What an overlay is drawn on: a picture of `width` × `height` at most MAX_SIDE long, never enlarged."""
    scale = min(1.0, MAX_SIDE / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return rgb.resize(size, Image.Resampling.BICUBIC)


def png(
    picture: Image.Image,
    relevance: NDArray[np.float32],
    warmth: tuple[float, float],
    box: Box,
    width: int,
) -> bytes:
    """`relevance` (rows, columns) over `picture`, the thumbnail of one that is `width` pixels wide.

    The grid covers `box`, in pixels of the whole picture. `warmth`: what is coldest and what is warmest.
    """
    scale = picture.width / width
    left, top, right, bottom = (round(edge * scale) for edge in box)
    area = max(1, right - left), max(1, bottom - top)
    coldest, warmest = warmth
    warm = (relevance - coldest) / ((warmest - coldest) or 1)
    smooth = Image.fromarray(warm.astype(np.float32)).resize(area, Image.Resampling.BICUBIC)
    share = np.clip(np.asarray(smooth), 0, 1)  # (height, width)
    stops = np.linspace(0, 1, len(_WARMTH))
    red, green, blue, opacity = (np.interp(share, stops, channel) for channel in _WARMTH.T)
    heat = Image.fromarray(np.stack([red, green, blue, 255 * opacity], axis=-1).astype(np.uint8), "RGBA")
    drawn = picture.convert("RGB")
    drawn.paste(heat, (left, top), heat)
    written = io.BytesIO()
    drawn.save(written, "PNG", compress_level=6)
    return written.getvalue()
