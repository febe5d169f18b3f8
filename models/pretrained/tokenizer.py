"""Texts to token ids through open_clip's tokenizer, and the truth about what was cut.

Tokenizers are pure Python or not re-entrant, so one lock guards them; nothing here touches the model.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch

from models.pretrained.bpe import speed_up

# A token covers at least one byte of UTF-8; begin and end take two more, a sentencepiece prefix may take two.
SPECIAL_TOKENS = 4


class Tokens:
    """A tokenizer with its context length."""

    def __init__(self, tokenizer: Any, context_length: int) -> None:
        if hasattr(tokenizer, "bpe_ranks"):  # open_clip's own; the others merge in compiled code
            speed_up(tokenizer)
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self.context_length = context_length

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Token ids, int64 (N, context_length), padded and cut as the model was trained."""
        with self._lock:
            ids: torch.Tensor = self._tokenizer(list(texts), context_length=self.context_length)
        return ids  # (N, context_length)

    def count(self, text: str) -> int:
        """Tokens that `text` would take uncut, begin and end included."""
        with self._lock:
            inner = getattr(self._tokenizer, "tokenizer", None)
            if inner is not None:  # open_clip's wrapper of a Hugging Face tokenizer
                return len(inner(self._tokenizer.clean_fn(text), truncation=False).input_ids)
            return len(self._tokenizer.encode(text)) + 2  # <start_of_text>, <end_of_text>

    def is_cut(self, text: str) -> bool:
        """True when `text` does not fit into the context."""
        if len(text.encode(errors="replace")) + SPECIAL_TOKENS <= self.context_length:
            return False  # cannot be: saves tokenizing 100,000 short labels twice
        return self.count(text) > self.context_length
