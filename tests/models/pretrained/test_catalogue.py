"""What can be checked of the catalogue without a network: every row names a tag of open_clip."""

from __future__ import annotations

import math

import pytest

from bench import sizes
from models.pretrained.catalogue import CATALOGUE, EMBEDDED, Row
from models.pretrained.files import EMBEDDED_DIR

ROWS = [row for row in CATALOGUE if row.name != EMBEDDED]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_is_a_pretrained_tag_of_open_clip(row: Row) -> None:
    from open_clip import list_pretrained_tags_by_model

    assert row.tag in list_pretrained_tags_by_model(row.architecture)


def test_the_embedded_models_size_is_that_of_its_weights() -> None:
    from safetensors import safe_open

    [weights] = EMBEDDED_DIR.glob("*.safetensors")
    with safe_open(weights, "pt") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118 (no mapping)
    [row] = [row for row in CATALOGUE if row.name == EMBEDDED]
    assert row.parameters_m == pytest.approx(sum(map(math.prod, shapes)) / 1e6, abs=0.6)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["ViT-B-32", "PE-Core-S-16-384", "ViT-L-16-SigLIP2-384"])
def test_sizes_are_counted_on_what_open_clip_builds(architecture: str) -> None:
    found = sizes.size(architecture)
    row = next(row for row in ROWS if row.architecture == architecture)
    assert row.parameters_m == pytest.approx(found.parameters_m, abs=0.6)
    assert row.gflops_image == pytest.approx(found.gflops_image, abs=0.06)
    assert row.gflops_text == pytest.approx(found.gflops_text, abs=0.06)
    assert row.tokens == found.context
