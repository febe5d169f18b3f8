"""A vision transformer does no work whose result nobody reads, and answers as open_clip's does."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from open_clip import CLIP
from open_clip.transformer import VisionTransformer
from torch.utils.flop_counter import FlopCounterMode

from models.encoders.class_token import leave_out_patches
from models.encoders.towers import ImageTower
from models.images.preprocess import Preprocess

SIDE, PATCH, WIDTH, LAYERS = 64, 16, 64, 3
TOKENS = (SIDE // PATCH) ** 2 + 1


def tower(**more: Any) -> Any:
    return VisionTransformer(SIDE, PATCH, WIDTH, LAYERS, heads=4, mlp_ratio=4.0, output_dim=32, **more).eval()


@pytest.fixture(autouse=True)
def counted() -> Iterator[None]:
    """torch's fused attention is one operation to the counter, which does not look into it."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


@torch.inference_mode()
def answers(of: Any) -> tuple[torch.Tensor, int]:
    """(B, D) for the same two pictures, and the arithmetic operations it took."""
    pictures = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as count:
        rows = of(pictures)
    return rows, count.get_total_flops()


@pytest.mark.parametrize("more", [{}, {"ls_init_value": 0.1}, {"final_ln_after_pool": True}], ids=str)
def test_the_last_block_answers_for_the_class_token_only(more: dict[str, Any]) -> None:
    whole = tower(**more)
    trimmed = copy.deepcopy(whole)
    leave_out_patches(trimmed)
    (wanted, all_of_it), (rows, less) = answers(whole), answers(trimmed)
    torch.testing.assert_close(rows, wanted, rtol=0, atol=1e-5)
    spared = 2 * 2 * (TOKENS - 1) * 10 * WIDTH**2  # pictures x multiply and add x patches x q, out and MLP
    assert all_of_it - less >= spared


@pytest.mark.parametrize(
    "more", [{"pool_type": "avg"}, {"attentional_pool": True}, {"output_tokens": True}], ids=str
)
def test_a_tower_that_reads_its_patches_is_left_whole(more: dict[str, Any]) -> None:
    whole = tower(**more)
    before = {name: type(module) for name, module in whole.named_modules()}
    leave_out_patches(whole)
    assert {name: type(module) for name, module in whole.named_modules()} == before


def test_the_tower_that_is_served_does_so() -> None:
    torch.manual_seed(0)
    vision = {"layers": LAYERS, "width": WIDTH, "head_width": 16, "patch_size": PATCH, "image_size": SIDE}
    model = CLIP(32, vision, {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1})
    pixels = torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8)
    whole = copy.deepcopy(model).eval()
    served = ImageTower(model, Preprocess((SIDE, SIDE)), torch.float32).eval()
    with torch.inference_mode():
        with FlopCounterMode(display=False) as all_of_it:
            wanted = whole.encode_image(served.normalise(pixels), normalize=True)
        with FlopCounterMode(display=False) as less:
            rows = served(pixels)
    torch.testing.assert_close(rows, wanted, rtol=0, atol=1e-5)
    assert less.get_total_flops() < all_of_it.get_total_flops()
