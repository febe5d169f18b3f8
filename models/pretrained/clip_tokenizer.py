"""CLIP's tokenizer without torch: open_clip's `SimpleTokenizer`, on the vocabulary that ships in its package.

Words are merged by `bpe.pieces`, in time that does not run away with their length, and what is remembered of
them is bounded.
"""

from __future__ import annotations

import functools
import gzip
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import regex
from numpy.typing import NDArray

from models.errors import ModelUnavailable
from models.pretrained.bpe import END, pieces

VOCABULARY: Final = "bpe_simple_vocab_16e6.txt.gz"
MERGES: Final = 49152 - 256 - 2  # lines of that file that CLIP uses: its vocabulary less bytes and two tokens
START_OF_TEXT, END_OF_TEXT = SPECIAL = ("<start_of_text>", "<end_of_text>")
MAX_KEPT: Final = 50_000  # words, some 8 MB
MAX_KEPT_LETTERS: Final = 64  # of a word that is kept; longer ones hardly come twice

# From openai/CLIP, clip/simple_tokenizer.py (MIT): contractions, words, single digits, the rest.
_WORDS: Final = "|".join(SPECIAL) + r"|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


class ClipTokenizer:
    """Texts to CLIP's token ids."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        """`clean` goes over each text first. Raises ModelUnavailable without open_clip's vocabulary."""
        self._clean = clean
        self._letters = byte_letters()
        merges = [tuple(line.split()) for line in _read_vocabulary()[1 : MERGES + 1]]
        letters = sorted(self._letters)
        vocabulary = [*letters, *(letter + END for letter in letters), *map("".join, merges), *SPECIAL]
        self._ids = {piece: number for number, piece in enumerate(vocabulary)}
        self._ranks = {(merge[0], merge[1]): rank for rank, merge in enumerate(merges)}
        self._words = regex.compile(_WORDS, regex.IGNORECASE)
        self._known = functools.lru_cache(MAX_KEPT)(self._merge)

    def __call__(self, texts: Sequence[str], context_length: int) -> NDArray[np.int64]:
        """Token ids (N, context_length), padded with 0; a text that is cut still has its end."""
        rows = np.zeros((len(texts), context_length), dtype=np.int64)
        start, end = (self._ids[token] for token in SPECIAL)
        for row, text in zip(rows, texts, strict=True):
            ids = [start, *self._encode(text), end][:context_length]
            row[: len(ids)] = ids
            if len(ids) == context_length:
                row[-1] = end
        return rows

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle makes it anew: what it remembers of words stays here."""
        return ClipTokenizer, (self._clean,)

    def count(self, text: str) -> int:
        """Tokens of `text`, begin and end included."""
        return len(self._encode(text)) + len(SPECIAL)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for found in self._words.findall(self._clean(text)):
            word = "".join([self._letters[byte] for byte in found.encode()])
            ids += (self._known if len(word) <= MAX_KEPT_LETTERS else self._merge)(word)
        return ids

    def _merge(self, word: str) -> list[int]:
        return [self._ids[piece] for piece in ([word] if word in SPECIAL else pieces(word, self._ranks))]


def byte_letters() -> list[str]:
    """A letter for each byte, none of them a space: printable Latin-1 as it is, the others from 256 on."""
    printable = {byte for first, last in ("!~", "¡¬", "®ÿ") for byte in range(ord(first), ord(last) + 1)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def _read_vocabulary() -> list[str]:
    """The lines of open_clip's file, found without importing open_clip."""
    package = importlib.util.find_spec("open_clip")
    for folder in package.submodule_search_locations or () if package else ():
        path = Path(folder) / VOCABULARY
        if path.is_file():
            return gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    raise ModelUnavailable(
        f"CLIP's vocabulary, {VOCABULARY} of the package open_clip_torch, is not installed"
    )
