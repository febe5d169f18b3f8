from __future__ import annotations

import torch

from models.training.model import towers
from tests.models.training.conftest import CONFIG


def test_texts_are_embedded_as_open_clip_does() -> None:
    model = towers.build(CONFIG).eval()
    texts = ["a cat", "two dogs run over a green field", "sea"]
    ours = towers.encode_texts(model.text, texts)
    theirs = model.encode_text(towers.tokenise(texts), normalize=True)
    assert torch.allclose(ours, theirs, atol=1e-5)
