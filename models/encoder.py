"""The open_clip model behind one door: pictures and token ids in, unit vectors out.

Notable: CLIP's text tower is causal and read at its end-of-text token, so padding behind that token cannot
change the answer; such towers are run on as many positions as the longest text needs. Towers that attend to
their padding (SigLIP) are run whole. Refuses to know where weights come from (see `loading`) and who waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from models.preprocess import Preprocess


class Encoder:
    """Both towers of one model on one device."""

    def __init__(self, model: Any, preprocess: Preprocess, *, device: str, dtype: torch.dtype) -> None:
        # torch's modules answer any attribute, so their types say nothing.
        self._model: Any = model.eval().requires_grad_(False)
        self._text: Any = getattr(self._model, "text", self._model)
        self._preprocess = preprocess
        self.device = torch.device(device)
        self.dtype = dtype
        self.trims_padding = reads_causally(self._text)
        self.logit_scale = float(self._model.logit_scale.exp())
        bias = getattr(self._model, "logit_bias", None)
        self.logit_bias = None if bias is None else float(bias)

    @torch.inference_mode()
    def images(self, pixels: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        """Embed pictures: B tensors uint8 (3, S, S) -> unit rows (B, D)."""
        batch = torch.stack(list(pixels))  # (B, 3, S, S) uint8: a quarter of the bytes to upload
        if self.device.type == "cuda":
            batch = batch.pin_memory().to(self.device, non_blocking=True)
        elif self.device.type != "cpu":
            batch = batch.to(self.device)
        batch = self._preprocess.normalise(batch).to(self.dtype)  # (B, 3, S, S)
        return unit(self._model.encode_image(batch))  # (B, D)

    @torch.inference_mode()
    def texts(self, ids: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        """Embed texts: N tensors int64 (context_length,) -> unit rows (N, D)."""
        batch = torch.stack(list(ids))  # (N, L)
        if not self.trims_padding:
            return unit(self._model.encode_text(batch.to(self.device)))  # (N, D)
        end = end_of_text(self._text, batch)  # (N,)
        batch = batch[:, : int(end.max()) + 1].to(self.device)  # (N, l): up to the longest text's end
        return unit(trimmed_text_forward(self._text, batch, end.to(self.device)))  # (N, D)


def unit(vectors: torch.Tensor) -> NDArray[np.float32]:
    """Rows (N, D) of any precision -> float32 rows of length 1, on the host."""
    rows: NDArray[np.float32] = F.normalize(vectors.float(), dim=-1).cpu().numpy()
    return rows


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


def end_of_text(text: Any, ids: torch.Tensor) -> torch.Tensor:
    """Each row's end-of-text position, as open_clip's `text_global_pool` finds it: (N, L) -> (N,)."""
    if _pool_type(text) == "argmax":
        return ids.argmax(dim=-1)
    eos = int(getattr(text, "text_eos_id", getattr(text, "eos_id", 0)))
    return torch.eq(ids, eos).int().argmax(dim=-1)


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
