from __future__ import annotations

import hashlib
import json
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors import safe_open

from models.training.model import export, towers
from tests.models.training.conftest import CONFIG


def test_an_exported_folder_loads_through_open_clip(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = towers.build(CONFIG).eval()
    export.write(tmp_path, model.state_dict(), CONFIG)
    loaded, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{tmp_path}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{tmp_path}")
    loaded.eval()
    ids = tokenizer(["a cat", "a dog on the beach"])
    assert ids.shape == (2, towers.CONTEXT)
    with torch.no_grad():
        texts = loaded.encode_text(ids, normalize=True)
        images = loaded.encode_image(torch.rand(2, 3, 64, 64), normalize=True)
        assert texts.norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-4)
        assert images.norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-4)
        assert torch.allclose(texts, model.encode_text(ids, normalize=True), atol=0.01)
    assert preprocess is not None


def test_weights_are_half_precision_and_their_checksum_is_beside_them(tmp_path: Path) -> None:
    export.write(tmp_path, {"a": torch.ones(3), "count": torch.tensor(4)}, CONFIG)
    with safe_open(tmp_path / export.WEIGHTS, "pt") as weights:
        assert weights.get_tensor("a").dtype == torch.float16
        assert weights.get_tensor("count").dtype == torch.int64
    digest = hashlib.sha256((tmp_path / export.WEIGHTS).read_bytes()).hexdigest()
    assert (tmp_path / export.CHECKSUMS).read_text() == f"{digest}  {export.WEIGHTS}\n"
    assert json.loads((tmp_path / export.CONFIG).read_text())["model_cfg"]["embed_dim"] == 384


def test_weights_that_are_too_large_for_the_repository_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more than"):
        export.write(tmp_path, {"a": torch.zeros(export.MAX_BYTES // 2)}, CONFIG)
