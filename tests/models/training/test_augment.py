from __future__ import annotations

import pytest
import torch

from models.training.augment import augment, normalise, shrink


def test_normalised_pixels_are_between_minus_one_and_one() -> None:
    pixels = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 8, 8, 3)
    x = normalise(pixels)
    assert x.shape == (2, 3, 8, 8)
    assert x[0].unique().tolist() == [-1]
    assert x[1].unique().tolist() == [1]


@pytest.mark.parametrize("side", [64, 96, 128])
def test_an_augmented_picture_shows_the_same_colours(side: int) -> None:
    pixels = torch.zeros(16, 128, 128, 3, dtype=torch.uint8)
    pixels[..., 0] = 200
    x = augment(pixels, side, torch.Generator().manual_seed(0))
    assert x.shape == (16, 3, side, side)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert (x[:, 0] > x[:, 1] + 0.5).all()
    assert x.abs().max() <= 1


def test_chance_comes_from_the_generator_alone() -> None:
    pixels = torch.randint(0, 256, (4, 128, 128, 3), dtype=torch.uint8)
    one, same, other = (augment(pixels, 64, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_shrinking_keeps_the_mean() -> None:
    x = torch.rand(1, 3, 128, 128)
    assert shrink(x, 64).shape == (1, 3, 64, 64)
    assert shrink(x, 64).mean().item() == pytest.approx(x.mean().item(), abs=0.01)
