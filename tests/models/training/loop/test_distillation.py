from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from models.training.loop import distillation
from models.training.loop.distillation import Targets
from models.training.model import towers
from tests.models.training.conftest import COLOURS


@pytest.fixture
def distilled() -> Targets:
    texts = [*COLOURS, "shape"]
    ids = towers.tokenise(texts)
    targets = F.normalize(
        torch.randn(4, towers.EMBED_DIM, generator=torch.Generator().manual_seed(1)), dim=-1
    )
    return Targets(
        texts, targets, ids, ids.argmax(dim=-1) + 1, torch.ones(4), torch.ones(4, dtype=torch.bool)
    )


def test_templates_keep_the_target(distilled: Targets) -> None:
    ids, targets = distilled.draw(64, torch.Generator().manual_seed(0))
    assert ids.shape == (64, towers.CONTEXT)
    plain = {tuple(row) for row in distilled.ids.tolist()}
    wrapped = sum(tuple(row) not in plain for row in ids.tolist())
    assert 10 < wrapped < 54
    assert all((distilled.vectors - target).abs().sum(dim=1).min() == 0 for target in targets)


def test_every_byte_pair_reads_as_something() -> None:
    strings = distillation.token_strings()
    assert len(strings) == towers.VOCABULARY - 2
    assert strings[towers.tokenise(["cat"])[0, 1]] == "cat"
