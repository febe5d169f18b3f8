"""A picture's vector and one for each of its places, from one forward pass; what explanations are made of.

The product of a place's vector and a label's is the place's relevance for the label. By what the tower is:

    cam       pools by a mean and projects linearly: each place's share of the picture's unit vector, so the
              relevances add up to the similarity (class activation mapping, arXiv 1512.04150)
    naclip    open_clip's vision transformer, read at its class token: see `naclip`
    maskclip  pools by attention (SigLIP's): each place as if it were the only one, which is its value through
              the pool (MaskCLIP, arXiv 2112.01071)

Refuses every other tower: nothing is shown for an explanation that is none.
"""

from __future__ import annotations

from typing import Any, Final

import torch
import torch.nn.functional as F

from models.encoders.class_token import AtClassToken
from models.encoders.encoder import Grid
from models.encoders.places.naclip import Naclip

TOLERANCE: Final = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 5e-2}
"""Between a tower's vector and the mean of its places', relative: a head that is not linear is off by 1."""

LARGE: Final = 100.0


class PlacesTower(torch.nn.Module):
    """uint8 pixels (B, 3, S, S) -> (B, 1 + P, D): the picture's unit row, then its P places', row by row."""

    def __init__(self, image: Any, parts: torch.nn.Module, grid: Grid) -> None:
        """`image` prepares the pixels; `parts` makes of them rows (B, D) and places (B, P, D)."""
        super().__init__()
        self.image, self.parts, self.grid = image, parts, grid

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        rows, places = (each.float() for each in self.parts(self.image.prepared(pixels)))
        if self.grid.adds_up:
            places = places / (rows.norm(dim=-1)[:, None, None] * places.shape[1])
        else:
            places = F.normalize(places, dim=-1)
        return torch.cat([F.normalize(rows, dim=-1)[:, None], places], dim=1)


class OneByOne(torch.nn.Module):
    """A timm tower whose head sees the whole picture, and each place as if it were all of it."""

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        visual: Any = self.visual
        return self.of(visual.trunk.forward_features(batch))

    def of(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the trunk's map (B, C, rows, columns), or tokens (B, L, C)."""
        if features.ndim == 4:
            places = features.flatten(2).transpose(1, 2)  # (B, P, C)
            alone = places.flatten(0, 1)[:, :, None, None]
        else:
            visual: Any = self.visual
            places = features[:, visual.trunk.num_prefix_tokens :]
            alone = places.flatten(0, 1)[:, None]
        each = self._head(alone)  # (B P, D)
        return self._head(features), each.reshape(-1, places.shape[1], each.shape[-1])

    def _head(self, features: torch.Tensor) -> torch.Tensor:
        visual: Any = self.visual
        return visual.head(visual.trunk.forward_head(features))  # type: ignore[no-any-return]


@torch.no_grad()
def places_tower(image: Any, size: tuple[int, int]) -> PlacesTower | None:
    """Of an `ImageTower` that looks at `size` pixels (height, width); None: no way is known for it."""
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import VisionTransformer

    visual = image.model.visual
    if isinstance(visual, VisionTransformer) and isinstance(visual.transformer.resblocks[-1], AtClassToken):
        return PlacesTower(image, Naclip(visual), Grid("naclip", *visual.grid_size))
    if not isinstance(visual, TimmModel) or hasattr(visual.head, "pool") or _reads_a_token(visual.trunk):
        return None
    seeded = torch.Generator().manual_seed(0)
    random = torch.randint(0, 256, (1, 3, *size), generator=seeded)
    batch = image.prepared(random.to(next(image.parameters()).device, torch.uint8))
    features = visual.trunk.forward_features(batch)
    of_tokens = hasattr(visual.trunk, "num_prefix_tokens")
    if not of_tokens and (features.ndim != 4 or features.shape[1] != visual.trunk.num_features):
        return None  # no map of places, or one that is laid out otherwise
    parts = OneByOne(visual)
    shape = visual.trunk.patch_embed.grid_size if of_tokens else features.shape[2:]
    # Large ones: a head of two layers is all but linear for small features.
    rows, places = parts.of(LARGE * torch.randn(features.shape, generator=seeded).to(features))
    if float((places.mean(dim=1) - rows).norm() / rows.norm()) <= TOLERANCE[batch.dtype]:
        return PlacesTower(image, parts, Grid("cam", *shape))
    return PlacesTower(image, parts, Grid("maskclip", *shape)) if _attends(visual.trunk) else None


def _attends(trunk: Any) -> bool:
    return getattr(trunk, "attn_pool", None) is not None


def _reads_a_token(trunk: Any) -> bool:
    """Whether a place by itself lacks the token from which the tower is read."""
    if not getattr(trunk, "num_prefix_tokens", 0):
        return False
    return not (_attends(trunk) and getattr(trunk, "pool_include_prefix", True))
