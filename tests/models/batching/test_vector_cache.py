"""The vector cache keeps to its bytes and forgets the least recently used first."""

import numpy as np

from models.batching.vector_cache import ENTRY_OVERHEAD_BYTES, VectorCache

VECTOR = np.ones(16, dtype=np.float32)
COST = VECTOR.nbytes + ENTRY_OVERHEAD_BYTES


def test_it_keeps_what_fits_and_forgets_the_least_recently_used() -> None:
    cache = VectorCache(3 * COST)
    for key in "abc":
        cache.put(key, VECTOR)
    assert cache.get("a") is VECTOR
    cache.put("d", VECTOR)
    assert cache.get("b") is None
    assert all(cache.get(key) is VECTOR for key in "acd")


def test_its_bytes_never_pass_the_bound() -> None:
    cache = VectorCache(10 * COST)
    for key in range(1000):
        cache.put(key, VECTOR)
        assert cache.nbytes <= 10 * COST
    assert len(cache) == 10


def test_replacing_an_entry_counts_it_once() -> None:
    cache = VectorCache(10 * COST)
    for _ in range(5):
        cache.put("same", VECTOR)
    assert (len(cache), cache.nbytes) == (1, COST)


def test_a_cache_of_no_bytes_keeps_nothing() -> None:
    cache = VectorCache(0)
    cache.put("a", VECTOR)
    assert cache.get("a") is None


def test_it_counts_hits_and_misses() -> None:
    cache = VectorCache(10 * COST)
    cache.put("a", VECTOR)
    cache.get("a")
    cache.get("b")
    assert (cache.hits, cache.misses) == (1, 1)
