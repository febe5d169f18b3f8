"""open_clip's vision transformer, whose last block is computed only where it is read: at the class token.

The embedding is projected from the class token alone. What the last block makes of the patches beyond their
keys and values goes nowhere, and it is 10 of that block's 12 matrix products a token: one part in 14 of all
the work of a ViT-B/32. Refuses to change a tower that reads more than the class token.
"""

from __future__ import annotations

from typing import Any

import torch


class AtClassToken(torch.nn.Module):
    """A residual attention block that answers for the first token only: (B, L, W) -> (B, 1, W)."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None) -> torch.Tensor:
        block: Any = self.block
        keys = block.ln_1(x)  # (B, L, W), and the values
        token = x[:, :1] + block.ls_1(block.attention(keys[:, :1], keys, keys, attn_mask))  # (B, 1, W)
        return token + block.ls_2(block.mlp(block.ln_2(token)))  # type: ignore[no-any-return]


def leave_out_patches(visual: Any) -> None:
    """Let the last block of `visual` answer for its class token only, where nothing else is read."""
    from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

    if type(visual) is not VisionTransformer or visual.attn_pool is not None or visual.output_tokens:
        return
    transformer = visual.transformer
    if visual.pool_type != "tok" or not transformer.batch_first:
        return
    last = transformer.resblocks[-1]
    if type(last) is ResidualAttentionBlock:
        transformer.resblocks[-1] = AtClassToken(last)
