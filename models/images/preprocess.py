"""RGB pictures to the model's pixels, exactly as open_clip's `image_transform(is_train=False)` makes them.

Notable: Pillow resizes, bytes travel to the device, and only there do they become numbers: a quarter of the
upload. A very long picture is resized only where the crop will be, because the whole would not fit in memory.
Refuses to know torch, open_clip and torchvision (each costs seconds to import); the tests compare with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
ResizeMode = Literal["shortest", "longest", "squash"]

# Decoding at no less than twice the model's size keeps the embedding (cosine ≥ 0.999 to the exact path).
DECODE_MARGIN = 2
# Of a resized picture before its crop, 4 bytes each; beyond (sides 1:600 at size 224) only the crop is made.
_MAX_RESIZED_PIXELS = 32_000_000

_OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of OpenAI's training set, open_clip's default
_OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class Preprocess:
    """What a pretrained tag was trained with."""

    size: tuple[int, int]  # px, height and width
    mean: tuple[float, float, float] = _OPENAI_MEAN
    std: tuple[float, float, float] = _OPENAI_STD
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    resize_mode: ResizeMode = "shortest"
    fill_color: int = 0  # of the bars beside a picture that is fitted whole ("longest")

    @property
    def at_least(self) -> int:
        """Pixels that each side must keep when a picture is decoded at a smaller scale."""
        return DECODE_MARGIN * max(self.size)

    def pixels(self, rgb: Image.Image) -> Pixels:
        """Resize and crop as open_clip's transform does, to the bit: an RGB picture -> (3, H, W) uint8."""
        height, width = self.size
        if self.resize_mode == "squash":
            return np.ascontiguousarray(self._resize(rgb, width, height))
        across, down = self._resized(*rgb.size)
        if self.resize_mode == "longest":
            canvas = np.full((3, height, width), self.fill_color, dtype=np.uint8)
            left, top = (-edge for edge in self._corner(across, down))
            canvas[:, top : top + down, left : left + across] = self._resize(rgb, across, down)
            return canvas
        left, top = self._corner(across, down)
        if across * down > _MAX_RESIZED_PIXELS:
            x, y = rgb.width / across, rgb.height / down  # source pixels per resized pixel
            box = (left * x, top * y, min((left + width) * x, rgb.width), min((top + height) * y, rgb.height))
            return np.ascontiguousarray(_planes(rgb.resize((width, height), self._filter(), box=box)))
        resized = self._resize(rgb, across, down)
        return np.ascontiguousarray(resized[:, top : top + height, left : left + width])

    def box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Where in a picture of that size (px) the model looks: left, top, right, bottom.

        Less than the picture where it is cropped, more than it where bars are put beside it.
        """
        if self.resize_mode == "squash":
            return 0.0, 0.0, float(width), float(height)
        across, down = self._resized(width, height)
        x, y = width / across, height / down  # px of the picture for one of the resized picture
        left, top = self._corner(across, down)
        return left * x, top * y, (left + self.size[1]) * x, (top + self.size[0]) * y

    def _resize(self, rgb: Image.Image, across: int, down: int) -> Pixels:
        """Without a crop: (3, down, across)."""
        return _planes(rgb.resize((across, down), self._filter()))

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """Size (across, down) before the crop."""
        target_height, target_width = self.size
        if self.resize_mode == "shortest" and target_height == target_width:
            long = int(target_height * max(width, height) / min(width, height))  # torchvision's Resize
            return (target_width, long) if width <= height else (long, target_height)
        ratios = (height / target_height, width / target_width)
        ratio = max(ratios) if self.resize_mode == "longest" else min(ratios)
        return max(1, round(width / ratio)), max(1, round(height / ratio))

    def _corner(self, across: int, down: int) -> tuple[int, int]:
        """Left and top of the model's pixels in a resized picture; negative where bars are put beside it."""
        beside, above = across - self.size[1], down - self.size[0]
        if self.resize_mode == "longest":
            return -(-beside // 2), -(-above // 2)
        return round(beside / 2), round(above / 2)  # half to even, as open_clip's

    def _filter(self) -> Image.Resampling:
        # open_clip forgets the interpolation when the target is not square and the mode is "shortest".
        forgotten = self.resize_mode == "shortest" and self.size[0] != self.size[1]
        bilinear = self.interpolation == "bilinear" and not forgotten
        return Image.Resampling.BILINEAR if bilinear else Image.Resampling.BICUBIC


def _planes(rgb: Image.Image) -> Pixels:
    """(3, H, W), a view with the samples of a pixel side by side."""
    return np.asarray(rgb).transpose(2, 0, 1)


def from_open_clip(config: Mapping[str, Any]) -> Preprocess:
    """From open_clip's `preprocess_cfg`, in which every key may be missing, None, or a single number."""
    size = config.get("size") or 224
    height, width = size if isinstance(size, Sequence) and len(size) == 2 else _pair(size)
    mode: ResizeMode = config.get("resize_mode") or "shortest"
    if mode not in get_args(ResizeMode):
        raise ValueError(f"resize_mode is {mode!r}; known are {', '.join(get_args(ResizeMode))}")
    return Preprocess(
        size=(int(height), int(width)),
        mean=_triple(config.get("mean") or _OPENAI_MEAN),
        std=_triple(config.get("std") or _OPENAI_STD),
        # "random" was for training; open_clip serves such models with bicubic.
        interpolation="bilinear" if config.get("interpolation") == "bilinear" else "bicubic",
        resize_mode=mode,
        fill_color=int(config.get("fill_color") or 0),
    )


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    side = size[0] if isinstance(size, Sequence) else size
    return int(side), int(side)


def _triple(value: float | Sequence[float]) -> tuple[float, float, float]:
    if isinstance(value, Sequence):
        red, green, blue = (float(part) for part in value)
        return red, green, blue
    return float(value), float(value), float(value)
