"""RGB pictures to the model's pixels, exactly as open_clip's `image_transform(is_train=False)` makes them.

Notable: Pillow resizes, bytes travel to the device, and only there do they become numbers: a quarter of the
upload. A very long picture is resized only where the crop will be, because the whole would not fit in memory.
Refuses to know open_clip and torchvision (each costs seconds to import); the tests compare with both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

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

    def pixels(self, rgb: Image.Image, *, exact: bool = True) -> torch.Tensor:
        """Resize and crop: an RGB picture -> (3, H, W) uint8.

        As open_clip's transform to the bit, or, if not `exact`, by torch's own resampling: three times as
        fast, and now and then a sample is one level off. For pictures that were decoded at a smaller scale.
        """
        height, width = self.size
        if self.resize_mode == "squash":
            return self._resize(rgb, width, height, exact).contiguous()
        across, down = self._resized(*rgb.size)
        if self.resize_mode == "longest":
            canvas = torch.full((3, height, width), self.fill_color, dtype=torch.uint8)
            left, top = (width - across) // 2, (height - down) // 2
            canvas[:, top : top + down, left : left + across] = self._resize(rgb, across, down, exact)
            return canvas
        left, top = round((across - width) / 2), round((down - height) / 2)  # half to even, as open_clip's
        if across * down > _MAX_RESIZED_PIXELS:
            x, y = rgb.width / across, rgb.height / down  # source pixels per resized pixel
            box = (left * x, top * y, min((left + width) * x, rgb.width), min((top + height) * y, rgb.height))
            return _planes(rgb.resize((width, height), self._filter(), box=box)).contiguous()
        resized = self._resize(rgb, across, down, exact)
        return resized[:, top : top + height, left : left + width].contiguous()

    def _resize(self, rgb: Image.Image, across: int, down: int, exact: bool) -> torch.Tensor:
        """Without a crop: (3, down, across) uint8."""
        if exact:
            return _planes(rgb.resize((across, down), self._filter()))
        mode = "bilinear" if self._filter() == Image.Resampling.BILINEAR else "bicubic"
        return F.interpolate(_planes(rgb)[None], (down, across), mode=mode, antialias=True)[0]

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """Size (across, down) before the crop."""
        target_height, target_width = self.size
        if self.resize_mode == "shortest" and target_height == target_width:
            long = int(target_height * max(width, height) / min(width, height))  # torchvision's Resize
            return (target_width, long) if width <= height else (long, target_height)
        ratios = (height / target_height, width / target_width)
        ratio = max(ratios) if self.resize_mode == "longest" else min(ratios)
        return max(1, round(width / ratio)), max(1, round(height / ratio))

    def _filter(self) -> Image.Resampling:
        # open_clip forgets the interpolation when the target is not square and the mode is "shortest".
        forgotten = self.resize_mode == "shortest" and self.size[0] != self.size[1]
        bilinear = self.interpolation == "bilinear" and not forgotten
        return Image.Resampling.BILINEAR if bilinear else Image.Resampling.BICUBIC


def _planes(rgb: Image.Image) -> torch.Tensor:
    """(3, H, W) uint8, a view with the samples of a pixel side by side."""
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1)


class Normalise(torch.nn.Module):
    """(B, 3, H, W) uint8 -> float32 on the same device: as ToTensor and Normalize, in their order."""

    mean: torch.Tensor  # (3, 1, 1)
    std: torch.Tensor  # (3, 1, 1)

    def __init__(self, preprocess: Preprocess) -> None:
        super().__init__()
        # Buffers, not constants made anew at each call: their upload would make a GPU wait.
        for name, value in (("mean", preprocess.mean), ("std", preprocess.std)):
            self.register_buffer(name, torch.tensor(value).view(-1, 1, 1), persistent=False)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.to(torch.float32).div_(255).sub_(self.mean).div_(self.std)


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
