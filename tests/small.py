"""A model of true architecture and no talent, small enough to load in a second."""

from __future__ import annotations

import json
from pathlib import Path

CONFIG = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}


def small_model(folder: Path, *, seed: int = 0, sigmoid: bool = False, **text_cfg: object) -> Path:
    """Write its files into `folder`; `sigmoid` gives it SigLIP's bias. The folder's name is the model's."""
    import torch
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    config = CONFIG | ({"init_logit_bias": -10.0} if sigmoid else {})
    config |= {"text_cfg": CONFIG["text_cfg"] | text_cfg}
    model = CLIP(**config)
    folder.mkdir(parents=True)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, str(folder / "open_clip_model.safetensors"))
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    return folder
