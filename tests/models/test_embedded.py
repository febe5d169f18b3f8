"""The folder that ships: what it weighs, what it holds, and that it answers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from safetensors import safe_open

from models.classifier import Classifier

FOLDER = Path(__file__).resolve().parents[2] / "models" / "embedded"
WEIGHTS = FOLDER / "open_clip_model.safetensors"
MOTORCYCLE = Path(skimage.data.data_dir) / "motorcycle_left.png"  # in the package; its function fetches more


def test_the_weights_are_small_half_precision_and_nothing_else() -> None:
    assert WEIGHTS.stat().st_size <= 50_000_000
    with safe_open(WEIGHTS, "np") as weights:
        kinds = {name: weights.get_tensor(name).dtype for name in weights.keys()}  # noqa: SIM118
    assert {str(kind) for kind in kinds.values()} <= {"float16", "int64"}
    assert all(name.endswith("num_batches_tracked") for name, kind in kinds.items() if kind == np.int64)
    assert {name.partition(".")[0] for name in kinds} == {"visual", "text", "logit_scale"}


def test_the_checksum_is_the_weights_own() -> None:
    digest, _, name = (FOLDER / "SHA256SUMS").read_text().strip().partition("  ")
    assert name == WEIGHTS.name
    assert digest == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()


def test_the_config_asks_for_no_pretrained_weights() -> None:
    config = json.loads((FOLDER / "open_clip_config.json").read_text())
    assert config["model_cfg"]["vision_cfg"]["timm_model_pretrained"] is False
    assert config["preprocess_cfg"]["resize_mode"] == "shortest"


def test_the_model_card_says_what_the_model_is_not_for() -> None:
    card = (FOLDER / "README.md").read_text()
    for needed in (
        "Flickr8k",
        "Tiny-ImageNet",
        "Caltech-101",
        "EfficientNet-Lite2",
        "no zero-shot measure",
        "not for",
        "training.png",
    ):
        assert needed in card, needed


NO_PICTURE = pytest.mark.xfail(reason="neither ImageNet nor the corpus shows one; see the model card")


@pytest.mark.parametrize(
    ("shown", "others"),
    [
        ("coffee cup", ["bowl of soup", "laptop"]),
        ("cat", ["dog", "horse", "car"]),
        ("cat", ["coffee cup", "motorcycle", "airplane"]),
        ("coffee cup", ["cat", "motorcycle", "airplane"]),
        pytest.param("astronaut", ["firefighter", "chef"], marks=NO_PICTURE),
        ("rocket", ["lighthouse", "airplane"]),
        ("motorcycle", ["bicycle", "tractor"]),
    ],
)
def test_photographs_are_answered_as_a_stranger_expects(
    classifier: Classifier, photographs: dict[str, bytes], shown: str, others: list[str]
) -> None:
    data = MOTORCYCLE.read_bytes() if shown == "motorcycle" else photographs[shown]
    vector = classifier.embed_image(data).result().vector
    texts = classifier.embed_texts([shown, *others]).result()
    assert int(np.argmax(texts @ vector)) == 0
