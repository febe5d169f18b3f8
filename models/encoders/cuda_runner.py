"""The towers on an NVIDIA GPU: nobody waits where the device could work.

Pictures go up from pinned memory on a stream of their own, so a batch is copied while the one before it is
computed; two workers make that happen: one prepares the next batch while the other waits for its vectors.
For a few batch sizes the image tower is recorded as a CUDA graph, which replaces hundreds of launches by one.
What cannot be recorded runs as it is. It has never run on a GPU: docs/operations.md says how to try it.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from numpy.typing import NDArray

from models.encoders.devices import release_memory
from models.encoders.encoder import Ids, Pixels, Rows
from models.encoders.towers import Towers

cuda: Any = torch.cuda  # untyped

logger = logging.getLogger(__name__)

WARM_UPS: Final = 3  # runs before recording, as torch's notes on CUDA graphs advise
MIN_COSINE: Final = 0.999  # between a recorded pass and one that is not, in half precision

Forward = Callable[[torch.Tensor], torch.Tensor]

_recording = threading.Lock()
"""A process may record one graph at a time, torch says; so may it change the mode of `_no_waiting`."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A forward pass that reads `inputs` and writes `outputs` whenever it is replayed."""

    inputs: torch.Tensor  # (size, …)
    outputs: torch.Tensor  # (size, D)
    replay: Callable[[], None]


class Graphs:
    """A forward pass for batches of any size, recorded for some; a batch between two sizes is padded."""

    def __init__(self, forward: Forward, record: Callable[[int], Recorded], sizes: Iterable[int]) -> None:
        self._forward = forward
        # The largest first: the memory that it needed is enough for all the others.
        recorded = {size: record(size) for size in sorted(sizes, reverse=True)}
        self._recorded = dict(sorted(recorded.items()))

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, …) -> (B, D); beyond the largest size as it is. One caller at a time."""
        count = batch.shape[0]
        size = next((size for size in self._recorded if size >= count), None)
        if size is None:
            return self._forward(batch)
        recorded = self._recorded[size]
        recorded.inputs[:count].copy_(batch, non_blocking=True)
        recorded.replay()
        return recorded.outputs[:count].clone()  # the next replay writes there again


def sizes_up_to(most: int) -> list[int]:
    """Powers of two, and the largest batch: no batch is padded to more than twice its size."""
    return sorted({most, *(1 << i for i in range(most.bit_length()) if 1 << i < most)})


@contextmanager
def _no_waiting() -> Iterator[None]:
    """A RuntimeError for what makes the host wait, before a recording finds it: that would not be undone."""
    before = cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")  # once a process
        cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        cuda.set_sync_debug_mode(before)


class CudaRunner:
    """Runs the towers where their weights are, a GPU."""

    name: Final = "torch"
    workers: Final = 2
    best_batch: Final = None

    def __init__(self, towers: Towers, *, max_batch: int, records: bool = True) -> None:
        """`records`: without it no graph is made, which is for measuring what they are worth."""
        self._towers = towers
        self._device = next(towers.image.parameters()).device
        self._uploads = cuda.Stream(self._device)
        self._compute = cuda.Stream(self._device)
        self._lock = threading.Lock()  # what one worker enqueues stays together
        # What loaded the weights may be on its way still, on the stream of the moment.
        self._compute.wait_stream(cuda.current_stream(self._device))
        self._image: Forward = self._graphs(max_batch) if records else towers.image

    @torch.inference_mode()
    def images(self, pixels: Pixels) -> Rows:
        """(B, 3, S, S) -> unit rows (B, D)."""
        return self._run(self._image, pixels)

    @torch.inference_mode()
    def places(self, pixels: Pixels) -> Rows:
        """(B, 3, S, S) -> (B, 1 + P, D); never recorded, because few ask."""
        assert self._towers.places is not None, "only towers with a grid are asked"
        return self._run(self._towers.places, pixels)

    @torch.inference_mode()
    def texts(self, ids: Ids, end: Ids | None) -> Rows:
        """(N, l), ends (N,) or None -> unit rows (N, D)."""
        return self._run(self._towers.text, ids) if end is None else self._run(self._towers.text, ids, end)

    def _run(self, forward: Callable[..., torch.Tensor], *batch: NDArray[Any]) -> Rows:
        pinned = [torch.from_numpy(each).contiguous().pin_memory() for each in batch]
        with self._lock:
            with cuda.stream(self._uploads):
                inputs = [each.to(self._device, non_blocking=True) for each in pinned]
            with cuda.stream(self._compute):
                self._compute.wait_stream(self._uploads)
                for each in inputs:
                    each.record_stream(self._compute)  # its memory is not given away before that is done
                rows = forward(*inputs)
                host = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
                host.copy_(rows, non_blocking=True)
                done = cuda.Event(blocking=True)  # else the host spins: decoding wants that core
                done.record(self._compute)
        done.synchronize()  # without the lock: the other worker enqueues meanwhile
        return host.numpy().copy()  # a cache that keeps a row must not keep pinned memory

    @torch.inference_mode()
    def _graphs(self, max_batch: int) -> Forward:
        """The image tower recorded, or as it is when it cannot be."""
        tower: Forward = self._towers.image
        pool = cuda.graph_pool_handle()
        try:
            with _recording, cuda.device(self._device):
                graphs = Graphs(tower, lambda size: self._record(size, pool), sizes_up_to(max_batch))
            height, width = self._towers.image_size
            probe = torch.randint(0, 256, (min(3, max_batch), 3, height, width), dtype=torch.uint8).numpy()
            cosine = float((self._run(graphs, probe) * self._run(tower, probe)).sum(axis=-1).min())
        except RuntimeError as error:  # an operation that a graph cannot hold; too little memory
            why = str(error)  # the error itself holds what was recorded by then
        else:
            if cosine >= MIN_COSINE:
                return graphs
            why = f"their vectors are not the tower's (cosine {cosine:.4f})"
            del graphs
        logger.warning("no CUDA graphs: %s", why)
        release_memory(str(self._device))
        return tower

    def _record(self, size: int, pool: Any) -> Recorded:
        """All sizes work in the memory of one `pool`: they are replayed one after the other, on one stream,
        and what one of them wrote is copied before the next begins."""
        height, width = self._towers.image_size
        with cuda.stream(self._compute):
            inputs = torch.zeros(size, 3, height, width, dtype=torch.uint8, device=self._device)
            for _ in range(WARM_UPS):
                self._towers.image(inputs)
            with _no_waiting():
                self._towers.image(inputs)
        cuda.synchronize(self._device)
        graph = cuda.CUDAGraph()
        # thread_local: another model's worker may ask for memory meanwhile, which by default fails it and us.
        with cuda.graph(graph, pool=pool, stream=self._compute, capture_error_mode="thread_local"):
            outputs = self._towers.image(inputs)
        return Recorded(inputs, outputs, graph.replay)
