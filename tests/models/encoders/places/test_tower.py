"""Which tower is explained by which method, and that the method is the published one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from PIL import Image
from timm.models.vision_transformer import VisionTransformer as TimmTransformer

import models
from models.encoders.class_token import leave_out_patches
from models.encoders.encoder import Grid
from models.encoders.places.tower import PlacesTower, places_tower
from models.loading import LoadOptions
from tests.small import CONFIG, small_model

SIDE, PATCH, WIDTH = 64, 16, 64


class Prepared(torch.nn.Module):
    """As much of an `ImageTower` as its places need."""

    def __init__(self, visual: torch.nn.Module) -> None:
        super().__init__()
        self.model = torch.nn.Module()
        self.model.visual = visual

    def prepared(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float() / 255


def made(visual: torch.nn.Module) -> PlacesTower | None:
    torch.manual_seed(0)
    leave_out_patches(visual)
    return places_tower(Prepared(visual).eval(), (SIDE, SIDE))


def pixels(count: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1))


def timm_tower(**more: Any) -> TimmModel:
    """open_clip's wrapper about a small transformer."""
    torch.manual_seed(0)
    visual = TimmModel("resnet10t", 32, image_size=SIDE, proj="none")
    sizes = {"img_size": SIDE, "patch_size": PATCH, "embed_dim": WIDTH, "depth": 2, "num_heads": 2}
    visual.trunk = TimmTransformer(num_classes=32, **sizes, **more)
    return visual.eval()


def clip_tower(**more: Any) -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(SIDE, PATCH, WIDTH, 3, heads=4, mlp_ratio=4.0, output_dim=32, **more).eval()


@torch.inference_mode()
def naclip_of(visual: VisionTransformer, batch: torch.Tensor) -> torch.Tensor:
    """arXiv 2404.08181, section 3, place by place and head by head: (B, P, D), not normalised."""
    side = SIDE // PATCH
    x = visual._embeds(batch)
    for block in visual.transformer.resblocks[:-1]:
        x = block(x)
    last = visual.transformer.resblocks[-1]
    weight, bias = last.attn.in_proj_weight, last.attn.in_proj_bias
    rows = []
    for tokens in last.ln_1(x):
        _, keys, values = F.linear(tokens, weight, bias).split(WIDTH, dim=-1)
        mixed = torch.zeros_like(values)
        for head in range(4):
            part = slice(16 * head, 16 * (head + 1))
            k, v = keys[:, part], values[:, part]
            for i in range(len(tokens)):
                logits = torch.tensor([float(k[i] @ k[j]) / 4 for j in range(len(tokens))])  # 4: root of 16
                for j in range(1, len(tokens)) if i else ():
                    (y, x_), (v_, u) = divmod(i - 1, side), divmod(j - 1, side)
                    logits[j] += np.exp(-((y - v_) ** 2 + (x_ - u) ** 2) / (2 * 5**2))
                mixed[i, part] = logits.softmax(dim=0) @ v
        rows.append(visual.ln_post(last.attn.out_proj(mixed))[1:] @ visual.proj)
    return torch.stack(rows)


@torch.inference_mode()
def test_naclip_is_the_published_method() -> None:
    visual, pictures = clip_tower(), pixels()
    wanted, row = naclip_of(visual, pictures / 255), visual(pictures / 255)
    tower = made(visual)
    assert tower is not None and tower.grid == Grid("naclip", 4, 4)
    found = tower(pictures)
    torch.testing.assert_close(found[:, 0], F.normalize(row, dim=-1), rtol=0, atol=1e-5)
    torch.testing.assert_close(found[:, 1:], F.normalize(wanted, dim=-1), rtol=0, atol=1e-5)


@torch.inference_mode()
def test_maskclip_is_each_places_value_through_the_pool() -> None:
    visual, pictures = timm_tower(class_token=False, global_pool="map"), pixels()
    tower = made(visual)
    assert tower is not None and tower.grid == Grid("maskclip", 4, 4)
    pool, tokens = visual.trunk.attn_pool, visual.trunk.forward_features(pictures / 255)
    values = pool.proj(pool.kv(tokens)[..., WIDTH:])
    wanted = visual.trunk.head(visual.trunk.fc_norm(values + pool.mlp(pool.norm(values))))
    found = tower(pictures)
    torch.testing.assert_close(found[:, 0], F.normalize(visual(pictures / 255), dim=-1), rtol=0, atol=1e-5)
    torch.testing.assert_close(found[:, 1:], F.normalize(wanted, dim=-1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["convolutions", "transformer"])
@torch.inference_mode()
def test_what_pools_by_a_mean_adds_up(kind: str) -> None:
    torch.manual_seed(0)
    if kind == "convolutions":
        visual = TimmModel("resnet10t", 32, image_size=SIDE, proj="linear").eval()
        grid = Grid("cam", 2, 2)
    else:
        visual = timm_tower(class_token=False, global_pool="avg", fc_norm=False)
        grid = Grid("cam", 4, 4)
    tower = made(visual)
    assert tower is not None and tower.grid == grid
    found, pictures = tower(pixels()), pixels()
    torch.testing.assert_close(found[:, 1:].sum(dim=1), F.normalize(visual(pictures / 255), dim=-1))


@pytest.mark.parametrize(
    "visual",
    [
        clip_tower(attentional_pool=True),
        clip_tower(pool_type="avg"),
        timm_tower(global_pool="token"),
        timm_tower(global_pool="map", pool_include_prefix=False),
        timm_tower(class_token=False, global_pool="avg", fc_norm=True),
        TimmModel("resnet10t", 32, image_size=SIDE, proj="mlp").eval(),
    ],
    ids=["attention pool", "mean", "timm's class token", "token left out of the pool", "norm", "two layers"],
)
def test_other_towers_are_not_explained(visual: torch.nn.Module) -> None:
    assert made(visual) is None


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["openvino", "torch"])
def test_a_loaded_transformer_explains_by_the_same(tmp_path: Path, encoder: str) -> None:
    """From a file to places: both runners, the tag's own preprocessing."""
    import open_clip

    from models.encoders.towers import Normalise
    from models.images.preprocess import Preprocess

    folder = small_model(tmp_path / "small")
    whole = open_clip.create_model(f"local-dir:{folder}").eval()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
    file = tmp_path / "picture.png"
    picture.save(file)
    seen = torch.from_numpy(np.asarray(picture).transpose(2, 0, 1).copy())[None]
    classifier = models.load(
        str(folder), LoadOptions("cpu", encoder=encoder, encoder_dir=tmp_path / "exports")
    )
    found = classifier.embed_places(file.read_bytes()).result()
    assert (classifier.info.encoder, classifier.grid) == (encoder, Grid("naclip", 4, 4))
    classifier.close()
    assert found.places is not None and found.places.vectors.shape == (16, CONFIG["embed_dim"])
    batch = Normalise(Preprocess((SIDE, SIDE)))(seen)
    with torch.inference_mode():
        row = F.normalize(whole.encode_image(batch), dim=-1)[0]
        leave_out_patches(whole.visual)
        tower = places_tower(Prepared(whole.visual), (SIDE, SIDE))
        assert tower is not None
        _, places = tower.parts(batch)
    np.testing.assert_allclose(found.vector, row, atol=1e-5)
    np.testing.assert_allclose(found.places.vectors, F.normalize(places, dim=-1)[0], atol=1e-5)
