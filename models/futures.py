"""What futures lack: to be resolved though their caller may have left, and to pass a cancellation on."""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from typing import Any


def cancel_with(outer: Future[Any], inner: Future[Any]) -> None:
    """Cancel `inner`, the work, when the caller that waits for `outer` leaves."""

    def left(future: Future[Any]) -> None:
        if future.cancelled():
            inner.cancel()

    outer.add_done_callback(left)


def resolve(future: Future[Any], *, result: Any = None, error: BaseException | None = None) -> None:
    """Resolve a future that its caller may have cancelled, or that was resolved before."""
    try:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
    except InvalidStateError:
        pass
