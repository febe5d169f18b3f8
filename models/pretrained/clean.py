"""How texts are cleaned before they become tokens: open_clip's `tokenizer.get_clean_fn`, by the same names.

Written out here because open_clip imports torch, which costs seconds; the tests compare with it.
"""

from __future__ import annotations

import html
import string
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import ftfy

_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)


def whitespace(text: str) -> str:
    """Mended, without HTML's escapes, single spaces."""
    return " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())


def lower(text: str) -> str:
    """The same in lower case."""
    return whitespace(text).lower()


def canonicalize(text: str) -> str:
    """The same in lower case and without punctuation, as in big_vision's prompt_engineering.py."""
    return " ".join(whitespace(text).replace("_", " ").translate(_PUNCTUATION).lower().split())


CLEAN: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {"lower": lower, "whitespace": whitespace, "canonicalize": canonicalize}
)
