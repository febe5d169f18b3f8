"""The two towers: open_clip's own text transformer beside a timm image tower, and their config.

Notable: the text tower is causal and read at its end-of-text token, so texts are run on as many positions as
the longest of them needs. Every weight begins at random; `efficientnet_lite` gives the image tower its own.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

CONTEXT = 48  # tokens: longer than any caption of the corpus
EMBED_DIM = 384  # as the text teacher's vectors
TEXT_WIDTH = 256
VOCABULARY = 49408  # CLIP's byte pairs
MEAN_STD = (0.5, 0.5, 0.5)


def config(image_tower: str, image_size: int, *, width: int = TEXT_WIDTH, layers: int = 4) -> dict[str, Any]:
    """What open_clip_config.json holds."""
    return {
        "model_cfg": {
            "embed_dim": EMBED_DIM,
            "custom_text": True,
            "vision_cfg": {
                "timm_model_name": image_tower,
                "timm_model_pretrained": False,
                "timm_pool": "avg",
                "timm_proj": "",
                "image_size": image_size,
            },
            "text_cfg": {
                "context_length": CONTEXT,
                "vocab_size": VOCABULARY,
                "width": width,
                "heads": max(1, width // 64),
                "layers": layers,
            },
        },
        "preprocess_cfg": {
            "mean": list(MEAN_STD),
            "std": list(MEAN_STD),
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
    }


def build(configuration: dict[str, Any]) -> Any:
    """The model that `configuration` describes, at random weights."""
    from open_clip.model import CustomTextCLIP

    model_cfg = {k: v for k, v in configuration["model_cfg"].items() if k != "custom_text"}
    model = CustomTextCLIP(**model_cfg)
    # timm's towers run faster on CPUs and GPUs alike with channels last.
    model.visual.to(memory_format=torch.channels_last)
    return model


def tokenise(texts: Sequence[str]) -> torch.Tensor:
    """N strings -> (N, CONTEXT) token ids."""
    ids: torch.Tensor = _tokenizer()(list(texts))
    return ids


@functools.cache  # reading its merges takes 0.1 s, more than a batch's texts take in the tower
def _tokenizer() -> Any:
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer(context_length=CONTEXT)


def device() -> torch.device:
    """Where towers learn: a GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def half() -> torch.autocast:
    """Products in bfloat16, on a GPU or where the processor has them (AVX512-BF16): twice as fast."""
    kind = device().type
    able = kind == "cuda" or bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    return torch.autocast(kind, torch.bfloat16, enabled=able)


def encode_text(text: Any, ids: torch.Tensor) -> torch.Tensor:
    """Token ids (N, L) -> unit rows (N, D), run on the first l positions only."""
    end = ids.argmax(dim=-1)  # (N,): end-of-text has the largest id
    length = int(end.max()) + 1
    ids, end = ids.to(text.text_projection.device), end.to(text.text_projection.device)
    x = text.token_embedding(ids[:, :length]) + text.positional_embedding[:length]  # (N, l, W)
    x = text.transformer(x, attn_mask=text.attn_mask[:length, :length])  # (N, l, W)
    x = text.ln_final(x[torch.arange(len(x), device=x.device), end])  # (N, W)
    return F.normalize((x @ text.text_projection).float(), dim=-1)  # (N, D)


def encode_in_parts(text: Any, ids: torch.Tensor, *, parts: int) -> torch.Tensor:
    """`encode_text`, like lengths together so that little is padding, and in bfloat16 where it can be."""
    order = ids.argmax(dim=-1).argsort()
    with half():
        rows = torch.cat([encode_text(text, ids[part]) for part in order.chunk(parts)])
    return rows[order.argsort().to(rows.device)]


@torch.no_grad()
def encode_texts(text: Any, texts: Sequence[str], *, batch: int = 256) -> torch.Tensor:
    """N strings -> unit rows (N, D), without gradients and like lengths together."""
    ids = tokenise(texts)
    order = ids.argmax(dim=-1).argsort()
    rows = torch.zeros(len(texts), text.text_projection.shape[1], device=text.text_projection.device)
    for chosen in torch.split(order, batch):
        rows[chosen] = encode_text(text, ids[chosen])
    return rows


class Pooled(torch.nn.Module):
    """Normalised pixels (B, 3, S, S) -> features before the projection (B, F)."""

    def __init__(self, trunk: Any) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        rows: torch.Tensor = self.trunk.forward_head(self.trunk.forward_features(pixels), pre_logits=True)
        return rows


def pooled(trunk: Any, pixels: torch.Tensor) -> torch.Tensor:
    """The same, in bfloat16 where it can be."""
    with half():
        rows: torch.Tensor = Pooled(trunk)(pixels)
    return rows.float()


def project(visual: Any, rows: torch.Tensor) -> torch.Tensor:
    """Features (B, F) -> unit rows (B, D)."""
    return F.normalize(visual.trunk.get_classifier()(rows), dim=-1)


def encode_image(visual: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Normalised pixels (B, 3, S, S) -> unit rows (B, D)."""
    return project(visual, pooled(visual.trunk, pixels))
