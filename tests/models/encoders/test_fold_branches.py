"""MobileCLIP2's towers are folded for serving, and answer as open_clip's unfolded ones do."""

from __future__ import annotations

import copy
from typing import Any

import open_clip
import pytest
import torch

from models.encoders.towers import fold_branches
from tests.hub import cheap_chance

SIDE = 256  # px, of all MobileCLIP2


def vary(visual: torch.nn.Module) -> None:
    """Means, variances and gains as training leaves them: folding must take each into account."""
    for module in visual.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values in (module.running_var, module.weight):
                torch.nn.init.uniform_(values, 0.8, 1.2)
            for values in (module.running_mean, module.bias):
                torch.nn.init.normal_(values, std=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["MobileCLIP2-S0", "MobileCLIP2-S3"])
def test_a_folded_tower_answers_as_the_one_it_was(architecture: str) -> None:
    torch.manual_seed(0)
    with cheap_chance():
        visual: Any = open_clip.create_model(architecture, load_weights=False).visual.eval()
    vary(visual)
    folded = copy.deepcopy(visual)
    fold_branches(folded)
    assert sum(1 for _ in folded.modules()) < sum(1 for _ in visual.modules()) / 1.5
    with torch.inference_mode():
        pixels = torch.rand(2, 3, SIDE, SIDE) * 2 - 1
        wanted, found = (torch.nn.functional.normalize(tower(pixels), dim=-1) for tower in (visual, folded))
    assert torch.allclose(wanted, found, atol=1e-4)
