"""What the training minimises, besides the distillation.

All rows are unit vectors; `scale` is the model's logit scale.
"""

from __future__ import annotations

import torch


def contrastive(
    images: torch.Tensor, texts: torch.Tensor, match: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Find which image and text belong together, both ways: images (B, D), texts (T, D), match (B, T) bool.

    CLIP's symmetric loss, except that a text may be true of several pictures and a picture may have several
    texts in the batch: the right answers share the probability.
    """
    logits = scale * images @ texts.T  # (B, T)
    shares = match.float()
    wanted = shares / shares.sum(dim=1, keepdim=True).clamp(min=1)
    backwards = shares.T / shares.T.sum(dim=1, keepdim=True).clamp(min=1)
    to_text = -(wanted * logits.log_softmax(dim=1)).sum(dim=1).mean()
    to_image = -(backwards * logits.T.log_softmax(dim=1)).sum(dim=1).mean()
    return (to_text + to_image) / 2


def names(
    images: torch.Tensor, bank: torch.Tensor, wanted: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of softmax(scale · image · bank) against `wanted` (B, K), shares of the first K names.

    images (B, D), bank (C, D).

    A row of `wanted` that is all nought is a picture of which nothing is known, and counts for nothing.
    """
    logp = (scale * images @ bank.T).log_softmax(dim=1)  # (B, C)
    return -(wanted * logp[:, : wanted.shape[1]]).sum() / wanted.sum().clamp(min=1)
