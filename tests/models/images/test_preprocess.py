"""The pixels are those of open_clip's own transform, for every resize mode and any size of picture."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from models.encoders.towers import Normalise
from models.images.preprocess import Preprocess, ResizeMode, from_open_clip

SIGLIP = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
CONFIGS: list[dict[str, Any]] = [
    {"size": 224, "resize_mode": "shortest"},
    {"size": 224, "resize_mode": "shortest", "interpolation": "bilinear"},
    {"size": (224, 320), "resize_mode": "shortest", "interpolation": "bilinear"},
    {"size": (256, 256), "resize_mode": "squash", **SIGLIP},
    {"size": 256, "resize_mode": "squash", "interpolation": "bilinear", **SIGLIP},
    {"size": (320, 192), "resize_mode": "squash"},
    {"size": 224, "resize_mode": "longest"},
    {"size": 224, "resize_mode": "longest", "fill_color": 127, "interpolation": "bilinear"},
    {"size": (192, 256), "resize_mode": "longest", "fill_color": 255},
]
SIZES = [(1, 1), (1, 2), (150, 3), (640, 480), (333, 517), (224, 224), (256, 225)]


def photograph(width: int, height: int) -> Image.Image:
    return Image.fromarray(skimage.data.coffee()).resize((width, height))


def tower_input(preprocess: Preprocess, image: Image.Image) -> torch.Tensor:
    return Normalise(preprocess)(torch.from_numpy(preprocess.pixels(image))[None])[0]  # (3, H, W)


def open_clips(config: dict[str, Any], image: Image.Image) -> torch.Tensor:
    tensor: torch.Tensor = image_transform_v2(PreprocessCfg(**config), is_train=False)(image)
    return tensor


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_it_equals_open_clip_bit_for_bit(config: dict[str, Any]) -> None:
    preprocess = from_open_clip(config)
    pictures = [Image.fromarray(skimage.data.astronaut()), Image.fromarray(skimage.data.chelsea())]
    for image in [*pictures, *(photograph(*size) for size in SIZES)]:
        assert torch.equal(tower_input(preprocess, image), open_clips(config, image)), image.size


def test_defaults_are_open_clips() -> None:
    defaults = asdict(PreprocessCfg())
    assert from_open_clip({}) == from_open_clip(defaults)
    assert from_open_clip(dict.fromkeys(defaults)) == from_open_clip(defaults)
    assert from_open_clip({"size": [256], "mean": 0.5, "std": 0.25}) == Preprocess(
        size=(256, 256), mean=(0.5,) * 3, std=(0.25,) * 3
    )


def test_an_unknown_resize_mode_is_an_error() -> None:
    with pytest.raises(ValueError, match="shortest, longest, squash"):
        from_open_clip({"resize_mode": "stretch"})


@pytest.mark.parametrize("size", [(1, 500), (500, 1)])
def test_a_long_picture_equals_open_clips(size: tuple[int, int]) -> None:
    config = {"size": 224, "resize_mode": "shortest"}
    assert torch.equal(
        tower_input(from_open_clip(config), photograph(*size)), open_clips(config, photograph(*size))
    )


@pytest.mark.parametrize("size", [(1, 700), (700, 1)])
def test_a_very_long_picture_is_close_to_open_clips(size: tuple[int, int]) -> None:
    config = {"size": 224, "resize_mode": "shortest"}
    ours = torch.from_numpy(from_open_clip(config).pixels(photograph(*size))).float()
    reference = open_clips(config, photograph(*size))
    std, mean = (torch.tensor(PreprocessCfg.__dataclass_fields__[k].default) for k in ("std", "mean"))
    theirs = (reference * std[:, None, None] + mean[:, None, None]) * 255
    assert (ours - theirs).abs().max() <= 1.01  # of 255: the crop's place is rounded to float32


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [(1, 1_000_000), (1_000_000, 1)])
def test_a_line_of_a_million_pixels_needs_no_more_memory_than_others(
    mode: str, size: tuple[int, int]
) -> None:
    pixels = from_open_clip({"size": 64, "resize_mode": mode}).pixels(Image.new("RGB", size, "red"))
    assert pixels.shape == (3, 64, 64)
    assert pixels[0].max() == 255


def test_pixels_are_bytes_and_numbers_come_on_the_device() -> None:
    preprocess = Preprocess(size=(32, 32))
    pixels = preprocess.pixels(photograph(60, 40))
    assert (pixels.dtype, pixels.flags.c_contiguous) == (np.uint8, True)
    batch = torch.from_numpy(np.stack([pixels, pixels]))  # (2, 3, 32, 32)
    before = batch.clone()
    assert Normalise(preprocess)(batch).dtype == torch.float32
    assert torch.equal(batch, before)


def test_a_draft_keeps_twice_the_models_size() -> None:
    assert Preprocess(size=(224, 320)).at_least == 640


def test_a_drafted_photograph_is_nearly_the_exact_one() -> None:
    preprocess = Preprocess(size=(64, 64))
    exact = photograph(512, 384)
    drafted = exact.reduce(2)
    difference = preprocess.pixels(exact).astype(int) - preprocess.pixels(drafted)
    assert np.abs(difference).mean() < 2  # of 255


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [(200, 100), (90, 240), (128, 128)])
def test_the_box_is_where_the_pixels_come_from(mode: ResizeMode, size: tuple[int, int]) -> None:
    """On a picture whose red is the column and whose green is the row, in pixels."""
    width, height = size
    row, column = np.mgrid[:height, :width]
    rgb = Image.fromarray(np.stack([column, row, np.full_like(row, 255)], axis=-1).astype(np.uint8))
    preprocess = Preprocess((64, 64), resize_mode=mode)
    pixels = preprocess.pixels(rgb).astype(float)
    left, top, right, bottom = preprocess.box(width, height)
    inside = pixels[2] > 250  # no bar
    for channel, axis, begin, end in ((0, 1, left, right), (1, 0, top, bottom)):
        centres = begin + (np.arange(64) + 0.5) * (end - begin) / 64
        wanted = np.broadcast_to(centres if axis else centres[:, None], (64, 64))
        assert np.abs(pixels[channel] - wanted + 0.5)[inside].max() < 3
