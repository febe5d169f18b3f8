from __future__ import annotations

import io
import random

import numpy as np
from PIL import Image

from models.training.model import augmentation
from tests.models.training.conftest import square

SIDE = 64  # px


def halves() -> bytes:
    """Black on the left and white on the right, twice as wide as high."""
    pixels = np.zeros((80, 160, 3), np.uint8)
    pixels[:, 80:] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_the_middle_is_cut_out_of_a_wide_picture() -> None:
    view = augmentation.centre(halves(), SIDE)
    assert view.shape == (SIDE, SIDE, 3)
    assert view[:, : SIDE // 2 - 3].max() == 0
    assert view[:, SIDE // 2 + 3 :].min() == 255


def test_crops_differ_and_are_mirrored_now_and_then() -> None:
    rng = random.Random(0)
    found = [augmentation.crop(halves(), SIDE, rng) for _ in range(12)]
    assert len({view.tobytes() for view in found}) > 6
    assert {bool(view[0, 0, 0] > view[0, -1, 0]) for view in found} == {False, True}


def test_a_small_view_has_lost_what_is_fine() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    rough = augmentation.crop(file.getvalue(), SIDE, random.Random(0)).astype(float)
    blurred = augmentation.small(file.getvalue(), SIDE, random.Random(0)).astype(float)
    assert np.abs(np.diff(blurred, axis=1)).mean() < 0.7 * np.abs(np.diff(rough, axis=1)).mean()


def test_fresh_views_differ_in_light() -> None:
    rng = random.Random(0)
    found = {int(augmentation.fresh(square((120, 120, 120)), SIDE, rng).mean()) for _ in range(20)}
    assert len(found) > 3


def test_pixels_are_normalised_as_the_served_model_does() -> None:
    found = augmentation.normalise(np.array([[[[0, 255, 127]]]], np.uint8))
    assert found.shape == (1, 3, 1, 1)
    assert np.allclose(found.ravel(), [-1, 1, -0.004], atol=0.001)
