"""A least-recently-used cache of vectors, bounded in bytes. Thread-safe; knows nothing of what it keeps."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

# What an entry costs beside its vector: key, dict slot, array header. Measured with tracemalloc on
# 100,000 entries of short prompts in CPython 3.11: 250 to 330 bytes.
ENTRY_OVERHEAD_BYTES = 320


class VectorCache:
    """Maps a key to a float32 vector; forgets the least recently used when `max_bytes` is passed."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, NDArray[np.float32]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    def get(self, key: Hashable) -> NDArray[np.float32] | None:
        """The vector of `key`, now the most recently used, or None. Counts a hit or a miss."""
        with self._lock:
            vector = self._entries.get(key)
            if vector is None:
                self.misses += 1
                return None
            self.hits += 1
            self._entries.move_to_end(key)
            return vector

    def put(self, key: Hashable, vector: NDArray[np.float32]) -> None:
        """Keep `vector`; a cache of 0 bytes keeps nothing."""
        cost = vector.nbytes + ENTRY_OVERHEAD_BYTES
        if cost > self._max_bytes:
            return
        with self._lock:
            old = self._entries.pop(key, None)
            if old is not None:
                self._bytes -= old.nbytes + ENTRY_OVERHEAD_BYTES
            self._entries[key] = vector
            self._bytes += cost
            while self._bytes > self._max_bytes:
                _, dropped = self._entries.popitem(last=False)
                self._bytes -= dropped.nbytes + ENTRY_OVERHEAD_BYTES

    @property
    def nbytes(self) -> int:
        """Bytes accounted for, overhead included."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)
