"""A model's two towers as plain modules: pixels and token ids in, unit vectors out. What every encoder runs.

Notable: CLIP's text tower is causal and read at its end-of-text token, so padding behind that token cannot
change the answer; such towers are run on as many positions as the longest text needs. Towers that attend to
their padding (SigLIP) are run whole. Refuses to know where weights come from and on what they run.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from models.encoders.class_token import leave_out_patches
from models.encoders.encoder import EndOfText
from models.encoders.places.tower import places_tower
from models.images.preprocess import Preprocess


class Normalise(torch.nn.Module):
    """(B, 3, H, W) uint8 -> float32 on the same device: as ToTensor and Normalize, in their order."""

    mean: torch.Tensor  # (3, 1, 1)
    std: torch.Tensor  # (3, 1, 1)

    def __init__(self, preprocess: Preprocess) -> None:
        super().__init__()
        # Buffers, not constants made anew at each call: their upload would make a GPU wait.
        for name, value in (("mean", preprocess.mean), ("std", preprocess.std)):
            self.register_buffer(name, torch.tensor(value).view(-1, 1, 1), persistent=False)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.to(torch.float32).div_(255).sub_(self.mean).div_(self.std)


class ImageTower(torch.nn.Module):
    """uint8 pixels (B, 3, S, S) -> unit rows (B, D), float32.

    The model is changed where that spares work and no answer (see `class_token`).
    """

    def __init__(self, model: Any, preprocess: Preprocess, dtype: torch.dtype) -> None:
        super().__init__()
        leave_out_patches(model.visual)
        fold_branches(model.visual)
        self.model = model
        self.normalise = Normalise(preprocess)
        self._dtype = dtype

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return F.normalize(self.model.encode_image(self.prepared(pixels)).float(), dim=-1)  # (B, D)

    def prepared(self, pixels: torch.Tensor) -> torch.Tensor:
        """What the model looks at: (B, 3, S, S), in its own precision."""
        return self.normalise(pixels).to(self._dtype)  # type: ignore[no-any-return]


def fold_branches(visual: torch.nn.Module) -> None:
    """Make one convolution of the branches that a tower learnt with (MobileOne: those of MobileCLIP2)."""
    if not any(hasattr(module, "reparameterize") for module in visual.modules()):
        return
    from timm.utils.model import reparameterize_model

    dtype = next(visual.parameters()).dtype
    reparameterize_model(visual.float(), inplace=True).to(dtype)  # products of weights, so in float32


class TextTower(torch.nn.Module):
    """Token ids (N, L) -> unit rows (N, D), float32.

    A causal tower takes ids (N, l) of any length l that holds all the texts, and their ends (N,).
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.trims_padding = reads_causally(getattr(model, "text", model))

    def forward(self, ids: torch.Tensor, end: torch.Tensor | None = None) -> torch.Tensor:
        if end is None:
            return F.normalize(self.model.encode_text(ids).float(), dim=-1)
        text = getattr(self.model, "text", self.model)
        return F.normalize(trimmed_text_forward(text, ids, end).float(), dim=-1)


class Towers:
    """Both towers of one open_clip model, and what is read off it."""

    def __init__(self, model: Any, preprocess: Preprocess, *, dtype: torch.dtype = torch.float32) -> None:
        # torch's modules answer any attribute, so their types say nothing.
        model = model.eval().requires_grad_(False)
        device = next(model.parameters()).device
        self.image = ImageTower(model, preprocess, dtype).eval().to(device)
        self.places = places_tower(self.image, preprocess.size)
        self.text = TextTower(model).eval()
        self.image_size = preprocess.size
        self.context_length = int(getattr(model, "context_length", 77))
        self.logit_scale = float(model.logit_scale.exp())
        bias = getattr(model, "logit_bias", None)
        self.logit_bias = None if bias is None else float(bias)
        self.end_of_text = end_of_text(getattr(model, "text", model)) if self.text.trims_padding else None


def end_of_text(text: Any) -> EndOfText:
    """Where the text tower is read, as open_clip's `text_global_pool` has it."""
    by_id = _pool_type(text) == "eos"
    return EndOfText(int(getattr(text, "text_eos_id", getattr(text, "eos_id", 0))) if by_id else None)


def _pool_type(text: Any) -> str:
    return str(getattr(text, "text_pool_type", getattr(text, "pool_type", "")))


def reads_causally(text: Any) -> bool:
    """True when a text's embedding cannot depend on what stands behind its end-of-text token.

    That needs open_clip's own transformer with a causal mask, no class token at the end (CoCa), and pooling
    at the end-of-text position.
    """
    return (
        getattr(text, "attn_mask", None) is not None
        and getattr(text, "cls_emb", None) is None
        and isinstance(getattr(text, "positional_embedding", None), torch.Tensor)
        and _pool_type(text) in ("argmax", "eos")
    )


def trimmed_text_forward(text: Any, ids: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """open_clip's text forward on the first l positions only: ids (N, l), end (N,) -> (N, D)."""
    length = ids.shape[1]
    dtype = text.transformer.get_cast_dtype()
    x = text.token_embedding(ids).to(dtype) + text.positional_embedding[:length].to(dtype)  # (N, l, W)
    x = text.transformer(x, attn_mask=text.attn_mask[:length, :length])  # (N, l, W)
    x = text.ln_final(x[torch.arange(x.shape[0], device=x.device), end])  # (N, W)
    projection = text.text_projection
    if projection is None:
        return x  # type: ignore[no-any-return]
    if isinstance(projection, torch.nn.Linear):
        return projection(x)  # type: ignore[no-any-return]
    return x @ projection  # type: ignore[no-any-return]
