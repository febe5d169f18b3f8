"""Ridge regression, as every closed form of the training has it."""

from __future__ import annotations

import torch


def solve(gram: torch.Tensor, right: torch.Tensor, ridge: float) -> torch.Tensor:
    """X (A, B) of (G + ridge · mean(diag G) · I) X = R, from G (A, A) and R (A, B)."""
    raised = gram + ridge * gram.diagonal().mean() * torch.eye(len(gram))
    found: torch.Tensor = torch.linalg.solve(raised, right)
    return found
