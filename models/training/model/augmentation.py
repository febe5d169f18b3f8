"""A picture file -> one square view of it, as the tower sees it.

Notable: one view in a few is made small first (28 to 64 px) and then large again, so that the model also
knows what little of a thing 32 px leave over.
"""

from __future__ import annotations

import io
import math
import random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SMALL = (28, 32, 32, 40, 48, 64)  # px
MIN_AREA = 0.4  # share of the picture that a crop keeps at least
MIN_AREA_SMALL = 0.7  # the same where the picture has few pixels
FEW = 64  # px, the shorter side of a picture that has few
ASPECT = math.log(4 / 3)  # of a crop, each way
JITTER = 0.25  # brightness and contrast, each way, of pictures that are seen fresh

View = NDArray[np.uint8]  # (side, side, 3)


def centre(data: bytes, side: int) -> View:
    """The square in the middle, as the served model sees it."""
    picture = _open(data)
    width, height = picture.size
    short = min(width, height)
    left, top = (width - short) / 2, (height - short) / 2
    return _square(picture, (left, top, left + short, top + short), side)


def crop(data: bytes, side: int, rng: random.Random) -> View:
    """A random part of it, mirrored or not."""
    return _part(_open(data), side, rng)


def small(data: bytes, side: int, rng: random.Random) -> View:
    """A random part of the picture as it would be at SMALL px."""
    picture = _open(data)
    shrink = rng.choice(SMALL) / min(picture.size)
    if shrink < 1:
        width, height = (max(1, round(length * shrink)) for length in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    return _part(picture, side, rng)


def fresh(data: bytes, side: int, rng: random.Random) -> View:
    """What the joint training sees: a crop, one in five small, one in three with other light."""
    view = small(data, side, rng) if rng.random() < 0.2 else crop(data, side, rng)
    if rng.random() < 1 / 3:
        contrast, brightness = rng.uniform(1 - JITTER, 1 + JITTER), rng.uniform(-20, 20)
        view = np.clip(view * contrast + brightness, 0, 255).astype(np.uint8)
    return view


def normalise(views: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 (B, S, S, 3) -> float32 (B, 3, S, S), mean and standard deviation 0.5."""
    return np.ascontiguousarray((views.astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2))


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _part(picture: Image.Image, side: int, rng: random.Random) -> View:
    width, height = picture.size
    least = MIN_AREA if min(width, height) > FEW else MIN_AREA_SMALL
    area = width * height * rng.uniform(least, 1)
    aspect = math.exp(rng.uniform(-ASPECT, ASPECT))
    wide, high = min(width, math.sqrt(area * aspect)), min(height, math.sqrt(area / aspect))
    left, top = rng.uniform(0, width - wide), rng.uniform(0, height - high)
    view = _square(picture, (left, top, left + wide, top + high), side)
    return view[:, ::-1] if rng.random() < 0.5 else view


def _square(picture: Image.Image, box: tuple[float, float, float, float], side: int) -> View:
    return np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC, box=box))
