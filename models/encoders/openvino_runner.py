"""The towers on OpenVINO, for CPUs: exported once for each model, then read from the exports' folder.

Notable: the export is traced from the same towers that torch runs, and is kept only after it gave their
answers on batches of other sizes than the traced ones. OpenVINO's own converter is not used, because it
reports over the network that it was; the frontend beneath it does not. Imported only when it is to run: the
package is an extra.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
import openvino
import torch
from numpy.typing import NDArray

from models.encoders.export_cache import Export
from models.encoders.torch_runner import TorchRunner
from models.encoders.towers import Towers

logger = logging.getLogger(__name__)

EXPORT_VERSION: Final = 2  # raised when this file, towers.py or class_token.py changes the graphs
MIN_COSINE: Final = 0.9999  # between torch's answers and the export's, in single precision
IMAGES, TEXTS = "images.xml", "texts.xml"
HINTS: Final = {"fp32": "f32", "bf16": "bf16"}  # precisions that are offered, by OpenVINO's name

Rows = NDArray[np.float32]


class ExportFailed(Exception):
    """The towers cannot be run by OpenVINO; the message says why."""


class OpenVinoRunner:
    """Two compiled graphs, each with one request that is used again."""

    name: Final = "openvino"
    workers: Final = 1

    def __init__(self, folder: Path, precision: str) -> None:
        """Compile the export in `folder`. Raises ExportFailed when this CPU has no such precision."""
        settings = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),  # OMP_NUM_THREADS counts here too
            "ENABLE_CPU_PINNING": False,  # decoding threads and other models want the same cores
        }
        core: Any = openvino.Core()
        graphs = [core.compile_model(folder / name, "CPU", settings) for name in (IMAGES, TEXTS)]
        runs_in = graphs[0].get_property("INFERENCE_PRECISION_HINT").to_string()
        if runs_in != HINTS[precision]:
            raise ExportFailed(f"OpenVINO computes in {runs_in} on this CPU, not in {precision}")
        self._images, self._texts = (graph.create_infer_request() for graph in graphs)

    def images(self, pixels: torch.Tensor) -> Rows:
        """uint8 (B, 3, S, S) -> unit rows (B, D)."""
        return _run(self._images, pixels)

    def texts(self, ids: torch.Tensor, end: torch.Tensor | None) -> Rows:
        """int64 (N, l), ends (N,) or None -> unit rows (N, D)."""
        return _run(self._texts, ids) if end is None else _run(self._texts, ids, end)


def _run(request: Any, *inputs: torch.Tensor) -> Rows:
    arrays = [np.ascontiguousarray(tensor.numpy()) for tensor in inputs]
    rows: Rows = request.infer(arrays, share_inputs=True)[0]  # a copy of the request's own memory
    return rows


def kept(root: Path, *, fingerprint: str, config: dict[str, Any], precision: str) -> OpenVinoRunner | None:
    """The runner of an export that is under `root` already; None when there is none that is sound.

    Needs no towers, so it can be had while torch builds them. Raises ExportFailed.
    """
    export = _export_of(root, fingerprint, config)
    return OpenVinoRunner(export.folder, precision) if export.is_sound() else None


def start(
    towers: Towers, root: Path, *, fingerprint: str, config: dict[str, Any], precision: str
) -> OpenVinoRunner:
    """Export the towers to a folder under `root` and run them from there. Raises ExportFailed or OSError."""
    export = _export_of(root, fingerprint, config)
    began = time.monotonic()
    with export.making() as folder:
        write(towers, folder)
        check(towers, OpenVinoRunner(folder, "fp32"))
    logger.info("towers exported for OpenVINO to %s in %.1f s", export.folder, time.monotonic() - began)
    return OpenVinoRunner(export.folder, precision)


def _export_of(root: Path, fingerprint: str, config: dict[str, Any]) -> Export:
    """`config` is what the towers are built from beside the weights."""
    # Versions of whatever has a say in the graph, asked without an import.
    versions = {name: metadata.version(name) for name in ("openvino", "torch", "open_clip_torch", "timm")}
    return Export(root, fingerprint, {"config": config, "export": EXPORT_VERSION, "versions": versions})


def write(towers: Towers, folder: Path) -> None:
    """Trace both towers and write their graphs. Batches and, where trimmed, text lengths stay open."""
    height, width = towers.image_size
    pixels = torch.zeros(2, 3, height, width, dtype=torch.uint8)
    _export(towers.image, (pixels,), [(-1, 3, height, width)], folder / IMAGES)
    length = towers.context_length
    if towers.end_of_text is None:
        _export(towers.text, (torch.ones(2, length, dtype=torch.int64),), [(-1, length)], folder / TEXTS)
    else:
        ids = torch.ones(2, min(7, length), dtype=torch.int64)
        end = torch.tensor([1, 2])
        _export(towers.text, (ids, end), [(-1, -1), (-1,)], folder / TEXTS)


def _export(
    tower: torch.nn.Module, example: tuple[torch.Tensor, ...], shapes: Sequence[tuple[int, ...]], path: Path
) -> None:
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    try:
        with torch.no_grad(), warnings.catch_warnings():
            # The tracer warns wherever a size is looked at; `check` finds the one that matters.
            warnings.simplefilter("ignore")
            traced = TorchScriptPythonDecoder(
                tower, example_input=example, trace_kwargs={"check_trace": False}
            )
            frontend: Any = FrontEndManager().load_by_framework("pytorch")
            graph = frontend.convert(frontend.load(traced))
        for node, shape, tensor in zip(graph.inputs, shapes, example, strict=True):
            node.get_node().set_partial_shape(openvino.PartialShape(list(shape)))
            kind = openvino.Type.u8 if tensor.dtype == torch.uint8 else openvino.Type.i64
            node.get_node().set_element_type(kind)
        graph.validate_nodes_and_infer_types()
        openvino.save_model(graph, path, compress_to_fp16=False)
    except OSError:
        raise
    except Exception as error:  # torch's tracer and OpenVINO raise whatever they meet
        raise ExportFailed(f"{type(tower).__name__} cannot be exported: {error}") from error


def check(towers: Towers, runner: OpenVinoRunner) -> None:
    """Compare with torch on batches of one and of three. Raises ExportFailed when the answers differ."""
    reference = TorchRunner(towers)
    generator = torch.Generator().manual_seed(0)
    height, width = towers.image_size
    for count in (1, 3):
        pixels = torch.randint(0, 256, (count, 3, height, width), generator=generator, dtype=torch.uint8)
        _same(reference.images(pixels), runner.images(pixels), "pictures")
        length = (
            towers.context_length if towers.end_of_text is None else min(4 + count, towers.context_length)
        )
        ids = torch.randint(1, 400, (count, length), generator=generator)
        end = None if towers.end_of_text is None else torch.arange(length - count, length)
        _same(reference.texts(ids, end), runner.texts(ids, end), "texts")


def _same(ours: Rows, theirs: Rows, what: str) -> None:
    cosine = float((ours * theirs).sum(axis=-1).min()) if ours.shape == theirs.shape else float("nan")
    if not cosine >= MIN_COSINE:
        raise ExportFailed(f"OpenVINO's embeddings of {what} are not torch's (cosine {cosine:.6f})")
