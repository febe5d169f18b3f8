"""What is known of a loaded model: `GET /v1/models` and `candid models` show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a person wants to know about a loaded model."""

    name: str
    architecture: str
    pretrained: str
    embed_dim: int
    image_size: int  # px
    context_length: int  # tokens
    licence: str
    imagenet_top1: float | None  # percent, zero-shot
    accuracy_source: str | None
    device: str
    precision: str
    encoder: str  # what runs the towers: torch, openvino
    kind: Literal["softmax", "sigmoid"]  # the loss it was trained with: CLIP's or SigLIP's
    logit_scale: float
    logit_bias: float | None
    fingerprint: str  # SHA-256 of the weights
    config: str  # digest of what else their towers, tokenizer and preprocessing are made from
    parameters: int
    default_template: str  # name of a preset
    note: str
    explain: str | None  # by which method; None: it cannot
