"""Pictures a second of an image tower, beside what matrix products alone do: recorded, as it is, compiled."""

from __future__ import annotations

import gc
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench import bare
from bench.gpu.apart import Notes
from bench.gpu.work import ARCHITECTURES, Work
from models.encoders.cuda_runner import CudaRunner, Graphs
from models.encoders.encoder import Runner
from models.encoders.torch_runner import TorchRunner
from models.encoders.towers import Towers

SIDE = 8192  # of the matrices: large enough to keep a whole GPU busy
PRODUCTS = 5  # one after the other, so that waiting for them is nothing beside them
COMPILED_BATCH = 64


def measure(work: Work, note: Notes, architecture: str) -> None:
    """Each way at each batch size, with what it holds of the GPU's memory."""
    note(products_tflops={kind: products(work, kind) for kind in ("bf16", work.half)})
    towers = work.towers(architecture)
    memory = {"weights_mib": held(work)}
    flops = bare.flops_of(towers.image, towers.image_size[0])
    note(gflop_a_picture=float(f"{flops / 1e9:.4g}"), batches=list(work.batches))
    ways = runners(work, towers)
    memory["with_graphs_mib"] = held(work)
    for name, runner in ways.items():
        rows: list[dict[str, float]] = []
        for batch in work.batches:
            rows.append({"batch": batch, **rates(work, runner, pixels(towers, batch))})
            note(**{name: rows})
    note(memory=memory | {"at_the_end_mib": held(work)})


def runners(work: Work, towers: Towers) -> dict[str, Runner]:
    """Ways to run the same weights. Raises RuntimeError when nothing could be recorded."""
    if not work.device.startswith("cuda"):
        return {"eager": TorchRunner(towers)}
    graphs = CudaRunner(towers, max_batch=max(work.batches))
    if not isinstance(graphs._image, Graphs):
        raise RuntimeError("no CUDA graph was recorded: the log says why")
    return {"graphs": graphs, "eager": CudaRunner(towers, max_batch=max(work.batches), records=False)}


def rates(work: Work, runner: Runner, batch: NDArray[Any]) -> dict[str, float]:
    """Bytes in and vectors out, as the service's workers do it; and the tower alone, where the bytes are."""
    runner.images(batch)
    alone = []
    while len(alone) < 3 or sum(alone) < work.spend_s / 2:
        began = time.perf_counter()
        runner.images(batch)
        alone.append(time.perf_counter() - began)
    return {
        "per_s": round(together(work, runner.images, batch, runner.workers), 1),
        "ms": round(1e3 * statistics.median(alone), 3),
        "tower_per_s": round(resident(work, runner, batch), 1),
    }


def together(work: Work, encode: Callable[[Any], Any], batch: Any, callers: int) -> float:
    """Pictures a second of some callers at once: as many as the runner wants."""
    done = [0] * callers
    began = time.perf_counter()

    def call(caller: int) -> None:
        while time.perf_counter() - began < work.spend_s:
            encode(batch)
            done[caller] += len(batch)

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - began)


@torch.inference_mode()
def resident(work: Work, runner: Any, batch: NDArray[Any]) -> float:
    """Pictures a second of the tower alone: nothing goes up or down."""
    forward = getattr(runner, "_image", runner._towers.image)
    given = torch.from_numpy(batch).to(work.device)
    wait(work)
    with torch.cuda.stream(getattr(runner, "_compute", None)):  # of None: where it is
        forward(given)
        wait(work)
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < work.spend_s:
            for _ in range(4):
                forward(given)
            wait(work)
            done += 4 * len(batch)
        return done / (time.perf_counter() - began)


def products(work: Work, kind: str) -> float:
    """TFLOP/s of square matrix products, the best of some: no tower can do more."""
    side, dtype = 256 if work.tiny else SIDE, {"bf16": torch.bfloat16, "fp16": torch.float16}[kind]
    a, b = (torch.randn(side, side, device=work.device, dtype=dtype) for _ in range(2))
    taken = []
    for _ in range(3 if work.tiny else 10):
        wait(work)
        began = time.perf_counter()
        for _ in range(PRODUCTS):
            a @ b
        wait(work)
        taken.append(time.perf_counter() - began)
    return round(PRODUCTS * 2 * side**3 / min(taken) / 1e12, 3)


def compile_towers(work: Work, note: Notes) -> None:
    """torch.compile beside the same towers as they are; last of all, because compiling may take long."""
    for architecture in ARCHITECTURES:
        towers = work.towers(architecture)
        batch = pixels(towers, max(work.batches) if work.tiny else COMPILED_BATCH)
        runner = _as_it_is(work, towers)
        eager = together(work, runner.images, batch, runner.workers)
        began = time.perf_counter()
        # What inductor makes needs a compiler and a minute; the script is tried without it.
        towers.image.compile(dynamic=False, backend="eager" if work.tiny else "inductor")
        runner.images(batch)
        took = time.perf_counter() - began
        compiled = together(work, runner.images, batch, runner.workers)
        figures = {"batch": len(batch), "eager_per_s": round(eager, 1), "compile_s": round(took, 1)}
        note(**{architecture: {**figures, "compiled_per_s": round(compiled, 1)}})


def _as_it_is(work: Work, towers: Towers) -> Runner:
    cuda = work.device.startswith("cuda")
    return CudaRunner(towers, max_batch=COMPILED_BATCH, records=False) if cuda else TorchRunner(towers)


def pixels(towers: Towers, batch: int) -> NDArray[np.uint8]:
    height, width = towers.image_size
    return np.random.default_rng(0).integers(0, 256, (batch, 3, height, width), dtype=np.uint8)


def wait(work: Work) -> None:
    """Until the device has done all that it was given."""
    if work.device.startswith("cuda"):
        torch.cuda.synchronize()


def held(work: Work) -> float:
    """MiB of the GPU that this process has taken."""
    return round(torch.cuda.memory_reserved() / 2**20, 1) if work.device.startswith("cuda") else 0.0


def give_back(work: Work) -> None:
    """Let another process have what this one no longer needs."""
    if work.device.startswith("cuda"):
        gc.collect()
        torch.cuda.empty_cache()


def in_use(work: Work) -> float:
    """MiB of the GPU that are taken by whomever."""
    if not work.device.startswith("cuda"):
        return 0.0
    free, total = torch.cuda.mem_get_info()
    return round((total - free) / 2**20)
