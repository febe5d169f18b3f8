"""Words fall into the very pieces that open_clip's own loop makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer

from models.pretrained.bpe import pieces
from models.pretrained.clean import CLEAN
from models.pretrained.clip_tokenizer import MAX_KEPT, ClipTokenizer
from models.pretrained.tokenizer import Tokens

LETTERS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=60),
    st.text("aehlnorst", min_size=1, max_size=120),
    st.text("ab", min_size=1, max_size=40),
)


@pytest.fixture(scope="module")
def theirs() -> Any:
    return SimpleTokenizer()


@pytest.fixture(scope="module")
def ours() -> Tokens:
    return Tokens(ClipTokenizer(CLEAN["lower"]), 77)


@given(word=LETTERS)
@settings(max_examples=400, deadline=None)
def test_any_word(theirs: Any, word: str) -> None:
    letters = "".join(theirs.byte_encoder[byte] for byte in word.encode())
    assert pieces(letters, theirs.bpe_ranks) == theirs.bpe(letters).split(" ")


@given(text=LETTERS)
@settings(max_examples=200, deadline=None)
def test_any_text(theirs: Any, ours: Tokens, text: str) -> None:
    assert ours.encode([text]).tolist() == theirs([text], context_length=77).tolist()
    assert ours.count(text) == len(theirs.encode(text)) + 2


def test_a_pair_that_a_merge_makes_waits_for_the_rest_of_its_turn() -> None:
    # (a, bc) makes "abc", whose own merge with "a" comes earlier in the order: the second "a bc" must be
    # merged before that one may take its "a" away.
    ranks = {("b", "c"): 0, ("b", "c</w>"): 1, ("abc", "a"): 2, ("a", "bc"): 3, ("a", "bc</w>"): 4}
    assert pieces("abcabcx", ranks) == ["abc", "abc", "x</w>"]


def test_a_word_without_end_is_no_way_to_stop_the_others(ours: Tokens) -> None:
    # 100,000 letters: open_clip's loop takes hours for these, so a test that ends has shown it.
    word = "".join(chr(ord("a") + (i * i + i // 7) % 26) for i in range(100_000))
    assert ours.encode([word]).shape == (1, 77)


def test_words_are_not_remembered_without_end() -> None:
    tokenizer = ClipTokenizer(CLEAN["lower"])
    tokenizer([f"word{i:x}zz" for i in range(MAX_KEPT // 3)] + ["x" * 1000], 77)
    assert tokenizer._known.cache_info().currsize <= MAX_KEPT


def test_special_tokens_stay_whole(theirs: Any, ours: Tokens) -> None:
    text = "a <start_of_text> b <END_OF_TEXT> c"
    assert ours.encode([text]).tolist() == theirs([text], context_length=77).tolist()
