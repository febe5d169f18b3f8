"""One queue of pictures, one of texts, and the worker that feeds a model: a thread, or two for a GPU.

What waits is batched; nothing waits for a batch to fill, but in a lane that `fills`. Pictures and texts take
turns, so that a thousand prompts never hold up a photograph. Every future resolves: with its result, or with
the reason why not. An item is whatever the two encode functions take.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Generic, TypeVar

from models.batching.futures import resolve
from models.errors import CandidError, DeadlineExceeded, EncoderFailed, Overloaded, ShuttingDown
from models.priority import yield_to_others

logger = logging.getLogger(__name__)

T = TypeVar("T")
Encode = Callable[[Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class Encoded(Generic[T]):
    """A result and the time it took, in milliseconds."""

    value: T
    queue_ms: float
    encode_ms: float
    ended: float  # time.monotonic()
    batch: int  # how many were encoded with it, itself among them


@dataclass(slots=True, eq=False)
class _Item:
    payload: Any
    deadline: float | None  # time.monotonic()
    future: Future[Encoded[Any]] = field(default_factory=Future)
    queued_at: float = field(default_factory=time.monotonic)


@dataclass(slots=True, eq=False)
class Lane:
    """One kind of work: how to encode a batch of it, how many at once, how many may wait."""

    name: str
    encode: Encode
    _: KW_ONLY
    max_batch: int
    max_queue: int
    fills: bool = False  # a batch waits until it is full, as long as more items are expected
    expected: int = 0  # items that are on their way, or turn out not to come
    waiting: deque[_Item] = field(default_factory=deque)
    items_total: int = 0
    batches_total: int = 0
    seconds_total: float = 0.0  # of forward passes

    def due(self) -> bool:
        """Whether a batch of what waits is to be encoded now."""
        wanted = min(self.max_batch, self.max_queue) if self.fills and self.expected else 1
        return len(self.waiting) >= wanted


class Batcher:
    """Runs its lanes' work on one thread (or `workers`), a batch of each lane in turn."""

    def __init__(
        self,
        name: str,
        lanes: Sequence[Lane],
        *,
        release_memory: Callable[[], None],
        is_fatal: Callable[[Exception], bool] = lambda error: False,
        workers: int = 1,
    ) -> None:
        self._lanes = {lane.name: lane for lane in lanes}
        self._release_memory = release_memory
        self._is_fatal = is_fatal  # after such an error nothing can be encoded in this process any more
        self._wake = threading.Condition()
        self._closing = False
        self._broken: str | None = None  # why the worker cannot be trusted, until a forward succeeds
        self._died: str | None = None  # why the worker has ended though nobody closed it
        self._busy_since: dict[int, float] = {}  # thread -> time.monotonic(), while its forward is under way
        # Two where the device works by itself: one prepares a batch while the other waits for its own.
        self._threads = [
            threading.Thread(target=self._run, name=f"candid-{name}", daemon=True) for _ in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, lane_name: str, payload: Any, *, deadline: float | None = None) -> Future[Encoded[Any]]:
        """Queue one item. Raises Overloaded, ShuttingDown or EncoderFailed at once if it cannot be served."""
        lane = self._lanes[lane_name]
        item = _Item(payload, deadline)
        with self._wake:
            if self._closing:
                raise ShuttingDown("the model is shutting down")
            if self._died:
                raise EncoderFailed("the model's worker has died")
            if len(lane.waiting) >= lane.max_queue:
                raise Overloaded(f"{lane.max_queue} {lane.name} are waiting for the encoder already")
            lane.waiting.append(item)
            if lane.due():
                self._wake.notify()
        return item.future

    def expect(self, lane_name: str, items: int) -> None:
        """Say that items are on their way; taken back (negative) once they are submitted, or will not be."""
        lane = self._lanes[lane_name]
        with self._wake:
            lane.expected += items
            if lane.fills and lane.due():
                self._wake.notify()

    def alive(self) -> bool:
        """True while the worker thread runs and is not closing."""
        return self._died is None and not self._closing

    def failed(self) -> str | None:
        """Why the last forward failed, or None when the last one succeeded."""
        return self._broken

    def died(self) -> str | None:
        """Why the worker has ended though nobody closed it; None while it works."""
        return self._died

    def busy_s(self) -> float:
        """For how long the longest forward under way has run, in seconds; 0 between two."""
        since = list(self._busy_since.values())
        return time.monotonic() - min(since) if since else 0.0

    def lane(self, name: str) -> Lane:
        """The lane `name`, for its counters."""
        return self._lanes[name]

    def depth(self) -> int:
        """Items that wait now."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def close(self, *, drain_s: float = 0.0) -> None:
        """Take no more; finish what waits within `drain_s` seconds; resolve the rest with ShuttingDown."""
        deadline = time.monotonic() + drain_s
        with self._wake:
            while self.depth() and not self._died and time.monotonic() < deadline:
                self._wake.wait(timeout=min(0.05, max(0.0, deadline - time.monotonic())))
            self._closing = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(timeout=max(5.0, drain_s))
        self._abandon(ShuttingDown("the model is shutting down"))

    def _run(self) -> None:
        yield_to_others()
        work: list[tuple[Lane, list[_Item]]] | None = None
        try:
            while (work := self._next()) is not None:
                for lane, items in work:
                    self._serve(lane, items)
        except BaseException as error:
            # Nobody may wait for ever on a dead thread: say so to all, then let the thread end.
            with self._wake:  # whoever submits from now on is told at once
                self._died = f"{type(error).__name__}: {error}"
                self._wake.notify_all()  # another worker ends too
            logger.critical("the worker died", exc_info=error)
            failure = EncoderFailed("the worker died while it served this request")
            for item in [item for _, items in work or () for item in items]:
                resolve(item.future, error=failure)
            self._abandon(failure)

    def _next(self) -> list[tuple[Lane, list[_Item]]] | None:
        """Wait for work; at most one batch of each lane, or None when closing."""
        with self._wake:
            while not (self._closing or self._died or any(lane.due() for lane in self._lanes.values())):
                self._wake.wait()
            if self._closing or self._died:
                return None
            work = []
            for lane in self._lanes.values():
                batch: list[_Item] = []
                while lane.waiting and len(batch) < lane.max_batch:
                    item = lane.waiting.popleft()
                    if item.future.set_running_or_notify_cancel():  # its caller still waits
                        batch.append(item)
                if batch:
                    work.append((lane, batch))
            self._wake.notify_all()
            return work

    def _serve(self, lane: Lane, items: list[_Item]) -> None:
        """Encode those whose callers still have time."""
        now = time.monotonic()
        live = []
        for item in items:
            if item.deadline is not None and now >= item.deadline:
                item.future.set_exception(DeadlineExceeded("the request's time ran out in the queue"))
            else:
                live.append(item)
        self._encode(lane, live)

    def _encode(self, lane: Lane, items: list[_Item]) -> None:
        """Encode; a failing batch is split until the bad item stands alone (1 bad of 64: 63 answers)."""
        if not items:
            return
        started = self._busy_since[threading.get_ident()] = time.monotonic()
        failure: Exception | None = None
        trace = ""
        try:
            results = lane.encode([item.payload for item in items])
        except Exception as error:
            if self._is_fatal(error):
                raise
            # Keep the words, drop the traceback: its frames hold the batch's tensors.
            trace = traceback.format_exc()
            failure = error.with_traceback(None)
        finally:
            del self._busy_since[threading.get_ident()]
        if failure is not None:
            self._release_memory()
            self._recover(lane, items, failure, trace)
            return
        self._broken = None
        ended = time.monotonic()
        with self._wake:
            lane.batches_total += 1
            lane.items_total += len(items)
            lane.seconds_total += ended - started
        encode_ms = (ended - started) * 1e3
        for item, result in zip(items, results, strict=True):
            queue_ms = (started - item.queued_at) * 1e3
            resolve(item.future, result=Encoded(result, queue_ms, encode_ms, ended, len(items)))

    def _recover(self, lane: Lane, items: list[_Item], failure: Exception, trace: str) -> None:
        if len(items) > 1:
            half = len(items) // 2
            self._encode(lane, items[:half])
            self._encode(lane, items[half:])
            return
        logger.error("the encoder failed on one of the %s: %s", lane.name, trace)
        self._broken = f"{type(failure).__name__}: {failure}"
        if isinstance(failure, CandidError):
            resolve(items[0].future, error=failure)
            return
        error = EncoderFailed("the encoder failed on this input")
        error.__cause__ = failure
        resolve(items[0].future, error=error)

    def _abandon(self, error: CandidError) -> None:
        with self._wake:
            abandoned = [item for lane in self._lanes.values() for item in lane.waiting]
            for lane in self._lanes.values():
                lane.waiting.clear()
        for item in abandoned:
            resolve(item.future, error=error)
