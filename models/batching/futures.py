"""What futures lack: to be resolved though their caller has left, to pass a cancellation on, to go on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future, InvalidStateError
from contextlib import suppress
from typing import Any

from models.errors import ShuttingDown

logger = logging.getLogger(__name__)


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


def go_on(
    inner: Future[Any], outer: Future[Any], work: Callable[[Any], Any], executor: Executor | None = None
) -> None:
    """Once `inner` has its result, resolve `outer` with what `work` makes of it, or with what went wrong.

    Without an `executor` on the thread that resolves `inner`. That is the model's worker, for which everybody
    waits: only for what takes microseconds.
    """

    def worked(result: Any) -> None:
        try:
            resolve(outer, result=work(result))
        except Exception as error:  # the caller's to hear
            resolve(outer, error=error)

    def resolved(done: Future[Any]) -> None:
        if done.cancelled():  # with `outer`
            return
        error = done.exception()
        if error is not None:
            resolve(outer, error=error)
            return
        if executor is None:
            worked(done.result())
            return
        try:
            executor.submit(worked, done.result())
        except RuntimeError:  # it has shut down
            resolve(outer, error=ShuttingDown("the model is shutting down"))

    cancel_with(outer, inner)
    inner.add_done_callback(resolved)


def submit_unawaited(executor: Executor, work: Callable[..., Any], *arguments: Any) -> None:
    """Run what nobody waits for: what goes wrong is logged. Not done once the executor has shut down."""

    def ended(future: Future[Any]) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            logger.error("a defect: %s failed", getattr(work, "__qualname__", work), exc_info=error)

    with suppress(RuntimeError):  # the executor has shut down
        executor.submit(work, *arguments).add_done_callback(ended)
