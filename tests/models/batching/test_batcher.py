"""The worker's promises: batches of what waits, every future resolved, the bad item alone."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from models.batching.batcher import Batcher, Encoded, Lane
from models.encoders.devices import is_lost
from models.errors import DeadlineExceeded, EncoderFailed, Overloaded, ShuttingDown

WAIT_S = 10


class Recorder:
    """An encoder that doubles its items, can be held, and fails on the item 13."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, items: Sequence[Any]) -> list[Any]:
        self.gate.wait(WAIT_S)
        self.batches.append(list(items))
        if 13 in items:
            raise RuntimeError("13 is a bad picture")
        return [item * 2 for item in items]


def start(encode: Recorder, **sizes: int) -> Batcher:
    lane = Lane(
        "images", encode, max_batch=sizes.get("max_batch", 64), max_queue=sizes.get("max_queue", 1000)
    )
    return Batcher("test", [lane], release_memory=lambda: None)


def held(encode: Recorder, batcher: Batcher) -> Future[Encoded[Any]]:
    """Hold the worker on an item of its own, so that what is submitted next waits together."""
    encode.gate.clear()
    first = batcher.submit("images", 0)
    while batcher.depth():
        time.sleep(0.001)
    return first


def test_what_waits_is_encoded_in_one_batch() -> None:
    encode = Recorder()
    batcher = start(encode)
    held(encode, batcher)
    futures = [batcher.submit("images", i) for i in range(1, 6)]
    encode.gate.set()
    assert [future.result(WAIT_S).value for future in futures] == [2, 4, 6, 8, 10]
    assert encode.batches == [[0], [1, 2, 3, 4, 5]]
    batcher.close()


def test_a_batch_is_no_larger_than_allowed() -> None:
    encode = Recorder()
    batcher = start(encode, max_batch=4)
    held(encode, batcher)
    futures = [batcher.submit("images", i) for i in range(1, 11)]
    encode.gate.set()
    [future.result(WAIT_S) for future in futures]
    assert [len(batch) for batch in encode.batches] == [1, 4, 4, 2]
    batcher.close()


def test_a_lane_that_fills_waits_for_what_is_on_its_way_and_no_longer() -> None:
    encode = Recorder()
    lane = Lane("images", encode, max_batch=4, max_queue=1000, fills=True)
    batcher = Batcher("test", [lane], release_memory=lambda: None)
    batcher.expect("images", 7)
    futures = [batcher.submit("images", i) for i in range(3)]
    time.sleep(0.05)
    assert encode.batches == []  # four more are on their way
    futures += [batcher.submit("images", i) for i in range(3, 6)]
    assert futures[3].result(WAIT_S).value == 6
    assert encode.batches == [[0, 1, 2, 3]]
    batcher.expect("images", -7)  # the seventh turned out not to come
    assert [future.result(WAIT_S).value for future in futures[4:]] == [8, 10]
    assert encode.batches[1:] == [[4, 5]]
    assert batcher.submit("images", 6).result(WAIT_S).value == 12  # nothing is expected: at once
    batcher.close()


def test_one_bad_item_of_64_costs_only_itself() -> None:
    encode = Recorder()
    batcher = start(encode)
    held(encode, batcher)
    futures = [batcher.submit("images", i) for i in range(64)]
    encode.gate.set()
    for i, future in enumerate(futures):
        if i == 13:
            with pytest.raises(EncoderFailed):
                future.result(WAIT_S)
        else:
            assert future.result(WAIT_S).value == i * 2
    batcher.close()


def test_a_failure_is_logged_once_with_its_traceback_and_the_caller_gets_the_cause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    encode = Recorder()
    batcher = start(encode)
    held(encode, batcher)
    futures = [batcher.submit("images", i) for i in range(10, 16)]
    encode.gate.set()
    with pytest.raises(EncoderFailed) as caught:
        futures[3].result(WAIT_S)
    batcher.close()
    assert "13 is a bad picture" in str(caught.value.__cause__) and "13 is" not in caught.value.message
    (record,) = caplog.records
    assert "Traceback" in record.message and "13 is a bad picture" in record.message


def test_a_failure_is_remembered_until_a_forward_succeeds() -> None:
    batcher = start(Recorder())
    with pytest.raises(EncoderFailed):
        batcher.submit("images", 13).result(WAIT_S)
    assert "13 is a bad picture" in str(batcher.failed())
    batcher.submit("images", 1).result(WAIT_S)
    assert batcher.failed() is None
    batcher.close()


def test_a_cancelled_item_is_never_encoded() -> None:
    encode = Recorder()
    batcher = start(encode)
    held(encode, batcher)
    gone, stays = batcher.submit("images", 7), batcher.submit("images", 8)
    assert gone.cancel()
    encode.gate.set()
    assert stays.result(WAIT_S).value == 16
    assert encode.batches == [[0], [8]]
    batcher.close()


def test_items_whose_callers_left_take_no_place_in_a_batch() -> None:
    encode = Recorder()
    batcher = start(encode, max_batch=4)
    held(encode, batcher)
    futures = [batcher.submit("images", i) for i in range(20, 28)]
    for future in futures[:4]:
        future.cancel()
    encode.gate.set()
    assert [future.result(WAIT_S).value for future in futures[4:]] == [48, 50, 52, 54]
    assert encode.batches == [[0], [24, 25, 26, 27]]
    batcher.close()


def test_an_expired_item_is_never_encoded() -> None:
    encode = Recorder()
    batcher = start(encode)
    held(encode, batcher)
    late = batcher.submit("images", 7, deadline=time.monotonic())
    encode.gate.set()
    with pytest.raises(DeadlineExceeded):
        late.result(WAIT_S)
    assert encode.batches == [[0]]
    batcher.close()


def test_a_full_queue_refuses_at_once() -> None:
    encode = Recorder()
    batcher = start(encode, max_queue=2)
    held(encode, batcher)
    futures = [batcher.submit("images", i) for i in (1, 2)]
    with pytest.raises(Overloaded, match="2 images are waiting"):
        batcher.submit("images", 3)
    encode.gate.set()
    assert [future.result(WAIT_S).value for future in futures] == [2, 4]
    batcher.close()


def test_closing_drains_what_was_accepted() -> None:
    encode = Recorder()
    batcher = start(encode)
    held(encode, batcher)
    futures = [batcher.submit("images", i) for i in range(5)]
    encode.gate.set()
    batcher.close(drain_s=WAIT_S)
    assert [future.result(0).value for future in futures] == [0, 2, 4, 6, 8]
    with pytest.raises(ShuttingDown):
        batcher.submit("images", 1)


def test_closing_without_time_resolves_every_future() -> None:
    encode = Recorder()
    batcher = start(encode)
    held(encode, batcher)
    futures = [batcher.submit("images", i) for i in range(5)]
    threading.Timer(0.05, encode.gate.set).start()
    batcher.close()
    for future in futures:
        with pytest.raises(ShuttingDown):
            future.result(WAIT_S)


def test_a_dead_worker_is_seen_and_leaves_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    class Killed(BaseException):
        pass

    def die(items: Sequence[Any]) -> list[Any]:
        raise Killed

    batcher = Batcher("test", [Lane("images", die, max_batch=8, max_queue=8)], release_memory=lambda: None)
    with pytest.raises(EncoderFailed):
        batcher.submit("images", 1).result(WAIT_S)
    deadline = time.monotonic() + 1  # promised: seen within a second
    while batcher.alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not batcher.alive()
    with pytest.raises(EncoderFailed):
        batcher.submit("images", 2)
    assert "the worker died" in caplog.text


def test_a_dead_worker_leaves_nobody_waiting_in_another_lane() -> None:
    gate = threading.Event()

    def die(items: Sequence[Any]) -> list[Any]:
        gate.wait(WAIT_S)
        if items == ["last"]:
            raise SystemExit
        return list(items)

    lanes = [Lane(name, die, max_batch=1, max_queue=8) for name in ("images", "texts")]
    batcher = Batcher("test", lanes, release_memory=lambda: None)
    first = batcher.submit("texts", 0)
    while batcher.depth():
        time.sleep(0.001)
    # Taken from their queues together; the worker dies of the first.
    waiting = [batcher.submit("images", "last"), batcher.submit("texts", 1), batcher.submit("texts", 2)]
    gate.set()
    assert first.result(WAIT_S).value == 0
    for future in waiting:
        with pytest.raises(EncoderFailed):
            future.result(WAIT_S)
    assert "SystemExit" in (batcher.died() or "")


@pytest.mark.slow
def test_too_little_memory_for_a_batch_costs_nobody_an_answer() -> None:
    import torch

    released: list[bool] = []

    def encode(items: Sequence[Any]) -> list[Any]:
        if len(items) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return list(items)

    gate = Recorder()
    lane = Lane("images", lambda items: (gate(items), encode(items))[1], max_batch=64, max_queue=64)
    batcher = Batcher("test", [lane], release_memory=lambda: released.append(True), is_fatal=is_lost)
    held(gate, batcher)
    futures = [batcher.submit("images", i) for i in range(20, 28)]
    gate.gate.set()
    assert [future.result(WAIT_S).value for future in futures] == list(range(20, 28))
    assert released
    assert batcher.alive() and batcher.failed() is None
    batcher.close()


@pytest.mark.slow
def test_a_lost_device_ends_the_worker() -> None:
    import torch

    def encode(items: Sequence[Any]) -> list[Any]:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    lane = Lane("images", encode, max_batch=8, max_queue=8)
    batcher = Batcher("test", [lane], release_memory=lambda: None, is_fatal=is_lost)
    with pytest.raises(EncoderFailed):
        batcher.submit("images", 1).result(WAIT_S)
    assert not batcher.alive()
    assert "illegal memory access" in (batcher.died() or "")
    with pytest.raises(EncoderFailed) as caught:
        batcher.submit("images", 2)
    assert "illegal" not in caught.value.message, "the device's words are for the log"


def test_it_knows_for_how_long_a_forward_has_run() -> None:
    encode = Recorder()
    batcher = start(encode)
    assert batcher.busy_s() == 0
    first = held(encode, batcher)
    time.sleep(0.02)
    assert batcher.busy_s() > 0.01
    encode.gate.set()
    first.result(WAIT_S)
    batcher.close()
    assert batcher.busy_s() == 0


def test_lanes_take_turns() -> None:
    order: list[str] = []
    gate = threading.Event()

    def lane(name: str) -> Lane:
        def encode(items: Sequence[Any]) -> list[Any]:
            gate.wait(WAIT_S)
            order.append(name)
            return list(items)

        return Lane(name, encode, max_batch=1, max_queue=100)

    batcher = Batcher("test", [lane("images"), lane("texts")], release_memory=lambda: None)
    futures = [batcher.submit("texts", i) for i in range(6)]
    futures.append(batcher.submit("images", 1))
    gate.set()
    [future.result(WAIT_S) for future in futures]
    assert order.index("images") <= 2, "a picture waited behind the texts"
    batcher.close()


def test_two_workers_keep_two_batches_under_way_and_never_three() -> None:
    """For a device that works by itself: the next batch is prepared while this one is waited for."""
    both, lock = threading.Barrier(2, timeout=WAIT_S), threading.Lock()
    under_way, most = 0, 0

    def encode(items: Sequence[Any]) -> list[Any]:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        both.wait()  # breaks, and fails the batch, if it is alone
        with lock:
            under_way -= 1
        return [item * 2 for item in items]

    lane = Lane("images", encode, max_batch=1, max_queue=100)
    batcher = Batcher("test", [lane], release_memory=lambda: None, workers=2)
    futures = [batcher.submit("images", i) for i in range(20)]
    assert [future.result(WAIT_S).value for future in futures] == [2 * i for i in range(20)]
    assert most == 2
    assert (lane.items_total, lane.batches_total) == (20, 20)
    batcher.close()
    assert not batcher.alive() and batcher.busy_s() == 0


def test_when_one_of_two_workers_dies_the_other_ends_and_nobody_waits() -> None:
    def encode(items: Sequence[Any]) -> list[Any]:
        if 13 in items:
            raise KeyboardInterrupt
        return list(items)

    lane = Lane("images", encode, max_batch=1, max_queue=100)
    batcher = Batcher("test", [lane], release_memory=lambda: None, workers=2)
    futures = [batcher.submit("images", i) for i in (1, 13, 2, 3, 4, 5)]
    for future in futures:
        assert future.exception(WAIT_S) is None or isinstance(future.exception(), EncoderFailed)
    assert isinstance(futures[1].exception(), EncoderFailed)
    assert not batcher.alive()
    for thread in batcher._threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()
