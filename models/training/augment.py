"""A batch of stored squares -> normalised training pictures, augmented lightly and all at once.

Crops keep at least two fifths of the area: a caption speaks of the whole picture. The stored side is at most
twice the training side, so sampling two neighbours each way is enough against aliasing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from models.training.tower import MEAN_STD

MIN_AREA = 0.4  # share of the picture that a crop keeps at least
JITTER = 0.2  # brightness and contrast, each way


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 (B, S, S, 3) -> float32 (B, 3, S, S) in channels-last memory, as the served model sees it."""
    x = pixels.permute(0, 3, 1, 2).float().div_(255)
    return x.sub_(MEAN_STD[0]).div_(MEAN_STD[0])


def shrink(x: torch.Tensor, side: int) -> torch.Tensor:
    """(B, 3, S, S) -> (B, 3, side, side), filtered."""
    if x.shape[-1] == side:
        return x
    return F.interpolate(x, (side, side), mode="bicubic", antialias=True, align_corners=False)


def augment(pixels: torch.Tensor, side: int, generator: torch.Generator) -> torch.Tensor:
    """uint8 (B, S, S, 3) -> float32 (B, 3, side, side): random crop, flip, brightness and contrast."""
    x = normalise(pixels)
    count = len(x)

    def uniform(low: float, high: float) -> torch.Tensor:
        return torch.empty(count).uniform_(low, high, generator=generator)

    area, aspect = uniform(MIN_AREA, 1.0), uniform(-0.2, 0.2).exp()
    width = (area.sqrt() * aspect).clamp(max=1.0)  # (B,) share of the side
    height = (area.sqrt() / aspect).clamp(max=1.0)
    theta = torch.zeros(count, 2, 3)  # drawn where the generator is
    theta[:, 0, 0] = width * torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    theta[:, 1, 1] = height
    theta[:, 0, 2] = (1 - width) * uniform(-1, 1)
    theta[:, 1, 2] = (1 - height) * uniform(-1, 1)
    grid = F.affine_grid(theta.to(x.device), [count, 3, side, side], align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    contrast, brightness = uniform(1 - JITTER, 1 + JITTER), uniform(-JITTER, JITTER)
    contrast, brightness = (each.view(-1, 1, 1, 1).to(x.device) for each in (contrast, brightness))
    x = x * contrast + brightness
    return x.clamp_(-1, 1).contiguous(memory_format=torch.channels_last)
