"""The cache keeps to its bytes and forgets the least recently used first."""

from models.batching.lru_cache import ENTRY_BYTES, LRUCache

VALUE = object()
NBYTES = 64
COST = NBYTES + ENTRY_BYTES


def cache_of(entries: int) -> LRUCache[object, object]:
    return LRUCache(entries * COST)


def test_it_keeps_what_fits_and_forgets_the_least_recently_used() -> None:
    cache = cache_of(3)
    for key in "abc":
        cache.put(key, VALUE, NBYTES)
    assert cache.get("a") is VALUE
    cache.put("d", VALUE, NBYTES)
    assert cache.get("b") is None
    assert all(cache.get(key) is VALUE for key in "acd")


def test_its_bytes_never_pass_the_bound() -> None:
    cache = cache_of(10)
    for key in range(1000):
        cache.put(key, VALUE, NBYTES)
        assert cache.nbytes <= 10 * COST
    assert len(cache) == 10


def test_a_large_entry_puts_out_as_many_as_it_takes() -> None:
    cache = cache_of(10)
    for key in range(10):
        cache.put(key, VALUE, NBYTES)
    cache.put("large", VALUE, 5 * COST)
    assert cache.get("large") is VALUE
    assert [key for key in range(10) if cache.get(key)] == [6, 7, 8, 9]


def test_its_entries_never_pass_their_bound() -> None:
    cache: LRUCache[int, object] = LRUCache(100 * COST, max_entries=3)
    for key in range(5):
        cache.put(key, VALUE, NBYTES)
    assert [key for key in range(5) if cache.get(key)] == [2, 3, 4]


def test_replacing_an_entry_counts_its_new_size_once() -> None:
    cache = cache_of(10)
    for factor in (3, 2, 1):
        cache.put("same", VALUE, factor * NBYTES)
    assert (len(cache), cache.nbytes) == (1, COST)


def test_what_is_larger_than_the_cache_is_not_kept_and_puts_nothing_out() -> None:
    cache = cache_of(1)
    cache.put("a", VALUE, NBYTES)
    cache.put("b", VALUE, NBYTES + 1)
    assert (cache.get("a"), cache.get("b")) == (VALUE, None)


def test_a_cache_of_no_bytes_keeps_nothing() -> None:
    cache = cache_of(0)
    cache.put("a", VALUE, 0)
    assert cache.get("a") is None


def test_it_counts_hits_and_misses() -> None:
    cache = cache_of(10)
    cache.put("a", VALUE, NBYTES)
    cache.get("a")
    cache.get("b")
    assert (cache.hits, cache.misses) == (1, 1)
