"""Photographs for the benchmarks: scikit-image's, each cropped and lit differently, so that all differ."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

SMALL = (451, 300)  # px, as people's thumbnails and previews are
LARGE = (4000, 3000)  # px: 12 megapixels, as telephones take them
QUALITY = 90  # of JPEG, as cameras write it
GRAIN = 4.0  # standard deviation of the noise that makes an enlarged picture as hard to decode as a real one


def small(count: int, size: tuple[int, int] = SMALL) -> list[bytes]:
    """`count` different JPEG files of `size` pixels."""
    return [_jpeg(picture.resize(size, Image.Resampling.BICUBIC)) for picture in _crops(count)]


def large(count: int, quality: int = QUALITY) -> list[bytes]:
    """`count` different JPEG files of LARGE pixels: 2.6 MB each, at quality 75 1.1 MB, at 95 4.2 MB."""
    rng = np.random.default_rng(0)
    files = []
    for picture in _crops(count):
        pixels = np.asarray(picture.resize(LARGE, Image.Resampling.BICUBIC), dtype=np.float32)
        grain = rng.standard_normal(pixels.shape[:2], dtype=np.float32)[..., None]
        pixels = np.clip(pixels + GRAIN * grain, 0, 255)
        files.append(_jpeg(Image.fromarray(pixels.astype(np.uint8)), quality))
    return files


def _crops(count: int) -> Iterator[Image.Image]:
    """Pictures of 3:2, none of which equals another: the crop moves, and its brightness changes."""
    import skimage.data

    known = [skimage.data.cat(), skimage.data.coffee(), skimage.data.astronaut(), skimage.data.rocket()]
    for index in range(count):
        pixels, turn = known[index % len(known)], index // len(known)
        left, top = turn % 40, turn // 40 % 40
        height = min(pixels.shape[0] - 40, (pixels.shape[1] - 40) * 2 // 3)
        crop = pixels[top : top + height, left : left + height * 3 // 2]
        yield Image.fromarray(np.clip(crop * (0.8 + 0.005 * (turn % 61)), 0, 255).astype(np.uint8))


def _jpeg(picture: Image.Image, quality: int = QUALITY) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
