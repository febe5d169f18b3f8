"""What the parts work on: the device, and towers of the true architectures at random weights.

Time does not depend on weights. `tiny` is for trying the script: towers of two layers, parts of a second.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.encoders.build import build
from models.encoders.towers import Towers
from models.pretrained import files

ARCHITECTURES: Final = ("ViT-B-32", "ViT-L-14")
TINY: Final = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked of all parts alike."""

    device: str  # "cuda"; "cpu" only to try the script
    tiny: bool
    folder: Path  # of weights

    @property
    def half(self) -> str:
        """Half precision: what a GPU gets by default; CPUs have little that computes in float16."""
        return "fp16" if self.device.startswith("cuda") else "bf16"

    @property
    def spend_s(self) -> float:
        """Seconds for one figure."""
        return 0.05 if self.tiny else 0.5

    @property
    def batches(self) -> Sequence[int]:
        """Pictures in a batch."""
        return (1, 4) if self.tiny else (1, 2, 4, 8, 16, 32, 64, 128, 256)

    def model(self, architecture: str) -> Path:
        """The folder of a model, made when it is first asked for."""
        folder = self.folder / architecture
        if not (folder / "open_clip_config.json").is_file():
            write(folder, architecture, self.tiny)
        return folder

    def towers(self, architecture: str, precision: str | None = None) -> Towers:
        """Towers on the device, in half precision when none is named."""
        source = files.resolve(str(self.model(architecture).resolve()))
        return build(source, self.device, precision or self.half, None)[0]


def write(folder: Path, architecture: str, tiny: bool) -> None:
    """A model at random weights, in float16: half the bytes to write and to check."""
    import open_clip
    import torch
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    torch.manual_seed(0)
    configuration: dict[str, Any] = TINY if tiny else open_clip.get_model_config(architecture)
    model: Any = CLIP(**TINY) if tiny else open_clip.create_model(architecture, load_weights=False)
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, str(folder / files.SAFE_WEIGHTS))
    config = {"model_cfg": configuration, "preprocess_cfg": {}}
    (folder / files.CONFIG_FILE).write_text(json.dumps(config), "utf-8")
