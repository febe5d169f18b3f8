"""Whoever waits for a future is answered, whatever happens between it and the one it depends on."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from models.batching.futures import go_on, submit_unawaited
from models.errors import ShuttingDown


def test_the_work_is_done_elsewhere_than_where_the_first_one_is_resolved() -> None:
    inner: Future[int] = Future()
    outer: Future[tuple[int, str]] = Future()
    with ThreadPoolExecutor(1, thread_name_prefix="pool") as pool:
        go_on(inner, outer, lambda x: (x + 1, threading.current_thread().name), pool)
        inner.set_result(1)
        assert outer.result(timeout=10)[0] == 2
        assert outer.result()[1].startswith("pool")


def test_an_error_of_either_is_the_callers_to_hear() -> None:
    with ThreadPoolExecutor(1) as pool:
        for work, result in ((lambda _: 1 / 0, None), (lambda _: None, ValueError("of the first"))):
            inner: Future[Any] = Future()
            outer: Future[Any] = Future()
            go_on(inner, outer, work, pool)
            inner.set_exception(result) if result else inner.set_result(1)
            with pytest.raises((ZeroDivisionError, ValueError)):
                outer.result(timeout=10)


def test_after_the_pool_has_shut_down() -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    inner: Future[int] = Future()
    outer: Future[int] = Future()
    go_on(inner, outer, abs, pool)
    inner.set_result(1)
    with pytest.raises(ShuttingDown):
        outer.result(timeout=10)


def test_a_caller_that_leaves_takes_the_first_one_with_it() -> None:
    inner: Future[int] = Future()
    outer: Future[int] = Future()
    with ThreadPoolExecutor(1) as pool:
        go_on(inner, outer, abs, pool)
        outer.cancel()
    assert inner.cancelled()


def test_what_nobody_waits_for_is_logged_when_it_fails(caplog: pytest.LogCaptureFixture) -> None:
    def broken(divisor: int) -> float:
        return 1 / divisor

    with ThreadPoolExecutor(1) as pool:
        submit_unawaited(pool, broken, 1)
        submit_unawaited(pool, broken, 0)
    (record,) = caplog.records
    assert "broken failed" in record.message and "ZeroDivisionError" in caplog.text
    submit_unawaited(pool, broken, 0)  # the pool has shut down: nothing is done
    assert len(caplog.records) == 1
