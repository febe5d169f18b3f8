"""What each architecture of the catalogue is by its shape: parameters, GFLOPs a picture and a text, context.

    python -m bench.sizes            # prints; the catalogue's columns are these figures

Towers are built on torch's meta device, so the largest takes neither memory nor time. GFLOPs are 10⁹
multiply-adds × 2.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import open_clip
import torch
from torch.utils.flop_counter import FlopCounterMode

from models.pretrained.catalogue import CATALOGUE, EMBEDDED


@dataclass(frozen=True, slots=True)
class Size:
    """Of one architecture."""

    parameters_m: float
    gflops_image: float
    gflops_text: float
    context: int


def size(architecture: str) -> Size:
    """Count it, as open_clip builds it."""
    with torch.device("meta"):
        model = (
            open_clip.create_model(architecture, load_weights=False, device="meta")
            .eval()
            .requires_grad_(False)
        )
        config = open_clip.get_model_config(architecture)
        context = config["text_cfg"].get("context_length", 77)
        side = model.visual.image_size
        height, width = side if isinstance(side, tuple) else (side, side)
        picture = torch.zeros(1, 3, height, width)
        text = torch.zeros(1, context, dtype=torch.long)
        parameters = sum(p.numel() for p in model.parameters())
        return Size(
            parameters / 1e6,
            _gflops(model.encode_image, picture),
            _gflops(model.encode_text, text),
            context,
        )


def _gflops(encode: torch.nn.Module, given: torch.Tensor) -> float:
    with FlopCounterMode(display=False) as counter:
        encode(given)
    return counter.get_total_flops() / 1e9


def main(architectures: Sequence[str]) -> None:
    known = dict.fromkeys(row.architecture for row in CATALOGUE if row.name != EMBEDDED)
    for architecture in architectures or known:
        found = size(architecture)
        print(
            f"{architecture:32} {found.parameters_m:7.0f} M  {found.gflops_image:7.1f} / "
            f"{found.gflops_text:5.1f} GFLOPs  {found.context} tokens",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
