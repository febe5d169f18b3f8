"""NACLIP: a class-token transformer's places, made to keep to their neighbourhood in the last block.

There each place attends to the places whose keys are like its own, near ones preferred by a Gaussian; the
block's residual and its MLP are left out (Hajimiri et al., arXiv 2404.08181).
"""

from __future__ import annotations

from typing import Any, Final

import torch
import torch.nn.functional as F

DEVIATION: Final = 5.0
"""Of the Gaussian, in places: the paper's."""


class Naclip(torch.nn.Module):
    """open_clip's transformer after `leave_out_patches`: (B, 3, S, S) -> rows (B, D), places (B, P, D)."""

    nearness: torch.Tensor  # (1 + P, 1 + P)

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.visual = visual
        near = F.pad(nearness(*visual.grid_size), (1, 0, 1, 0))  # the class token is near nothing
        self.register_buffer("nearness", near.to(visual.class_embedding), persistent=False)

    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        visual: Any = self.visual
        x = visual._embeds(batch)  # (B, 1 + P, W)
        *before, last = visual.transformer.resblocks
        for block in before:
            x = block(x)
        rows, _ = visual._pool(last(x))  # (B, W)
        block = last.block
        places = visual.ln_post(block.ls_1(self._attend(block.attn, block.ln_1(x)))[:, 1:])  # (B, P, W)
        return rows @ visual.proj, places @ visual.proj

    def _attend(self, attn: torch.nn.MultiheadAttention, x: torch.Tensor) -> torch.Tensor:
        """Keys to keys: (B, L, W) -> (B, L, W)."""
        length, heads, width = x.shape[1], attn.num_heads, attn.head_dim
        _, k, v = F.linear(x, attn.in_proj_weight, attn.in_proj_bias).chunk(3, dim=-1)
        k, v = (each.reshape(-1, length, heads, width).transpose(1, 2) for each in (k, v))  # (B, h, L, W / h)
        weights = (k @ k.transpose(-1, -2) * width**-0.5 + self.nearness).softmax(dim=-1)  # (B, h, L, L)
        mixed = (weights @ v).transpose(1, 2).reshape(-1, length, heads * width)
        return attn.out_proj(mixed)  # type: ignore[no-any-return]


def nearness(rows: int, columns: int) -> torch.Tensor:
    """exp(-d² / 2σ²) of the distance d between every two places of a grid: (P, P)."""
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    at = torch.stack([row.flatten(), column.flatten()], dim=-1).float()  # (P, 2)
    return torch.exp(-torch.cdist(at, at).square() / (2 * DEVIATION**2))
