from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from models.training.loop import losses
from models.training.loop.distillation import SHARPNESS, loss_between


def rows(count: int, seed: int, dim: int = 8) -> torch.Tensor:
    return F.normalize(torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)), dim=-1)


def plain_cross_entropy(logits: list[float], wanted: list[float]) -> float:
    total = math.log(sum(math.exp(x) for x in logits))
    return -sum(w * (x - total) for w, x in zip(wanted, logits, strict=True))


def test_contrastive_is_clips_loss_when_every_text_is_true_of_one_picture() -> None:
    images, texts, scale = rows(5, 0), rows(5, 1), torch.tensor(7.0)
    logits = scale * images @ texts.T
    labels = torch.arange(5)
    expected = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
    got = losses.contrastive(images, texts, torch.eye(5, dtype=torch.bool), scale)
    assert got.item() == pytest.approx(expected.item(), rel=1e-5)


def test_right_answers_share_the_probability() -> None:
    images, texts, scale = rows(3, 2), rows(2, 3), torch.tensor(4.0)
    match = torch.tensor([[True, False], [True, True], [False, True]])
    logits = (scale * images @ texts.T).tolist()
    to_text = [plain_cross_entropy(logits[i], w) for i, w in enumerate(([1, 0], [0.5, 0.5], [0, 1]))]
    back = [[row[t] for row in logits] for t in range(2)]
    to_image = [plain_cross_entropy(back[0], [0.5, 0.5, 0]), plain_cross_entropy(back[1], [0, 0.5, 0.5])]
    expected = (sum(to_text) / 3 + sum(to_image) / 2) / 2
    assert losses.contrastive(images, texts, match, scale).item() == pytest.approx(expected, rel=1e-5)


def test_names_is_cross_entropy_and_leaves_unknown_pictures_out() -> None:
    images, bank, scale = rows(3, 4), rows(6, 5), torch.tensor(5.0)
    wanted = torch.tensor([[0.7, 0, 0, 0.3], [0, 0, 1, 0], [0, 0, 0, 0]])
    logits = (scale * images @ bank.T).tolist()
    first = plain_cross_entropy(logits[0], [0.7, 0, 0, 0.3, 0, 0])
    second = plain_cross_entropy(logits[1], [0, 0, 1, 0, 0, 0])
    assert losses.names(images, bank, wanted, scale).item() == pytest.approx((first + second) / 2, rel=1e-5)


def test_the_texts_loss_is_nought_only_at_the_targets() -> None:
    targets = rows(6, 8)
    assert loss_between(targets, targets).item() == pytest.approx(0, abs=1e-5)
    assert loss_between(rows(6, 9), targets).item() > 0.1
    near = 1 - (rows(6, 9) * targets).sum(dim=1).mean()
    wanted = (SHARPNESS * targets @ targets.T).softmax(dim=1)
    given = (SHARPNESS * rows(6, 9) @ targets.T).softmax(dim=1)
    divergence = (wanted * (wanted.log() - given.log())).sum(dim=1).mean()
    assert loss_between(rows(6, 9), targets).item() == pytest.approx((near + divergence).item(), rel=1e-4)
