"""Texts to token ids as open_clip's tokenizers make them, and the truth about what was cut.

Notable: what a tokenizer is fits into a `TokenizerSpec`, which is kept with a model's export: open_clip and
transformers import torch, and are not needed to serve. Nothing here touches the model.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.pretrained.clean import CLEAN
from models.pretrained.clip_tokenizer import ClipTokenizer

# A token covers at least one byte of UTF-8; begin and end take two more, a sentencepiece prefix may take two.
SPECIAL_TOKENS = 4

Ids = NDArray[np.int64]


class Tokenizer(Protocol):
    """Not re-entrant: `Tokens` has the lock."""

    def __call__(self, texts: list[str], context_length: int) -> Ids:
        """(N, context_length)."""

    def count(self, text: str) -> int:
        """Tokens that `text` would take uncut, begin and end included."""


class Tokens:
    """A tokenizer with its context length."""

    def __init__(self, tokenizer: Tokenizer, context_length: int) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self.context_length = context_length

    def encode(self, texts: Sequence[str]) -> Ids:
        """Token ids (N, context_length), padded and cut as the model was trained."""
        with self._lock:
            return self._tokenizer(list(texts), context_length=self.context_length)

    def count(self, text: str) -> int:
        """Tokens that `text` would take uncut, begin and end included."""
        with self._lock:
            return self._tokenizer.count(text)

    def is_cut(self, text: str) -> bool:
        """True when `text` does not fit into the context."""
        if len(text.encode(errors="replace")) + SPECIAL_TOKENS <= self.context_length:
            return False  # cannot be: saves tokenizing 100,000 short labels twice
        return self.count(text) > self.context_length


class HuggingFaceTokenizer:
    """A tokenizer.json in the `tokenizers` library, which states how its texts are padded and cut."""

    def __init__(self, json: str, clean: str) -> None:
        from tokenizers import Tokenizer as Backend

        self._clean = CLEAN[clean]
        self._backend = Backend.from_str(json)
        self._padding, self._truncation = self._backend.padding or {}, self._backend.truncation or {}

    def __call__(self, texts: list[str], context_length: int) -> Ids:
        self._backend.enable_padding(**{**self._padding, "length": context_length})
        self._backend.enable_truncation(**{**self._truncation, "max_length": context_length})
        rows = self._backend.encode_batch([self._clean(text) for text in texts])
        return np.array([row.ids for row in rows], dtype=np.int64)

    def count(self, text: str) -> int:
        self._backend.no_padding()
        self._backend.no_truncation()
        return len(self._backend.encode(self._clean(text)).ids)


class OpenClipTokenizer:
    """One of open_clip's own for which there is no `TokenizerSpec`."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, texts: list[str], context_length: int) -> Ids:
        ids: Ids = self._tokenizer(texts, context_length=context_length).numpy()
        return ids

    def count(self, text: str) -> int:
        inner = getattr(self._tokenizer, "tokenizer", None)
        if inner is not None:  # the wrapper of a Hugging Face tokenizer
            return len(inner(self._tokenizer.clean_fn(text), truncation=False).input_ids)
        return len(self._tokenizer.encode(text)) + 2  # <start_of_text>, <end_of_text>


@dataclass(frozen=True, slots=True)
class TokenizerSpec:
    """What a tokenizer is made from."""

    clean: str  # of CLEAN
    json: str | None  # Hugging Face's tokenizer.json; None: CLIP's byte pairs

    def make(self) -> Tokenizer:
        clip = self.json is None
        return ClipTokenizer(CLEAN[self.clean]) if clip else HuggingFaceTokenizer(self.json or "", self.clean)


# Where tokenizers differ: case, escapes, punctuation, other scripts, special tokens, texts that are cut.
_SAMPLES = (
    "a photo of a cat.",
    "",
    "Two DOGS&amp;a cat, 3 o'clock",
    "Füße_naïve  日本語 🦊",
    "x" * 400,
    "dog " * 400,
    "<end_of_text> <eos> </s> [SEP]",
)


def spec_of(tokenizer: Any, context_length: int) -> TokenizerSpec | None:
    """Of one of open_clip's; None when what is made from it would not give the same ids."""
    from open_clip.tokenizer import get_clean_fn

    clean = next((name for name in CLEAN if get_clean_fn(name) is tokenizer.clean_fn), None)
    if clean is None:
        return None
    ids = tokenizer(
        list(_SAMPLES), context_length=context_length
    ).numpy()  # tells the backend how to pad and cut
    backend = getattr(getattr(tokenizer, "tokenizer", None), "backend_tokenizer", None)
    spec = TokenizerSpec(clean, backend.to_str() if backend is not None else None)
    try:
        same = np.array_equal(spec.make()(list(_SAMPLES), context_length), ids)
    except (KeyError, TypeError, ValueError):
        return None
    return spec if same else None
