from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

from models.training.model import efficientnet_lite, towers
from tests.models.training.conftest import CONFIG, TOWER, write_lite


def test_the_packages_weights_are_read_in_timms_order(tmp_path: Path) -> None:
    write_lite(tmp_path / "lite.pth")
    found = efficientnet_lite.read(tmp_path / "lite.pth", TOWER)
    torch.manual_seed(0)
    whole = timm.create_model(TOWER, pretrained=False).eval()
    trunk = towers.build(CONFIG).visual.trunk.eval()
    efficientnet_lite.put_into(trunk, found)
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        rows = trunk.forward_head(trunk.forward_features(pixels), pre_logits=True)
        assert torch.allclose(rows @ found.rows.T + found.bias, whole(pixels), atol=1e-4)


def test_weights_of_another_tower_are_refused(tmp_path: Path) -> None:
    state = timm.create_model(TOWER, pretrained=False).state_dict()
    state["classifier.bias"] = torch.zeros(3)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"classifier\.bias"):
        efficientnet_lite.read(tmp_path / "other.pth", TOWER)


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="efficientnet_none_pytorch_model"):
        efficientnet_lite.package_file("tf_efficientnet_none")
