"""The one loop for many pictures: a bounded number of the next ones is begun while one is waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

T = TypeVar("T")

PICTURES: Final = 64
"""Begun and not yet taken: twice a batch, so that decoding goes on while the encoder works."""
BYTES: Final = 256 << 20
"""Of the pictures begun and not yet taken: large ones are fewer at a time."""


def read_ahead(
    begun: Iterable[tuple[T, int]], *, pictures: int = PICTURES, nbytes: int = BYTES
) -> Iterator[T]:
    """What `begun` yields, each with the bytes it holds, in order, asked for so many and so much ahead.

    `begun` begins one piece of work whenever it is asked for the next; whoever takes it waits for it:

        for name, future in read_ahead(((name, embed_image(data)), len(data)) for name, data in pictures):
            future.result()
    """
    under_way: deque[tuple[T, int]] = deque()
    held = 0
    for work, size in begun:
        under_way.append((work, size))
        held += size
        while under_way and (len(under_way) >= pictures or held > nbytes):
            first, size = under_way.popleft()
            held -= size
            yield first
    for work, _ in under_way:
        yield work
