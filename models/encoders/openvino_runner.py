"""The towers on OpenVINO, for CPUs, from the graphs that `openvino_export` made of them.

Imported only when it is to run: the package is an extra. Refuses to know torch.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
import openvino
from numpy.typing import NDArray

from models.encoders.encoder import Ids, Pixels, Rows
from models.encoders.export_cache import Export
from models.pretrained.files import Source
from models.priority import yield_to_others

# Raised when openvino_export, towers, class_token, places or description change what is kept.
EXPORT_VERSION: Final = 5
IMAGES, TEXTS = "images.xml", "texts.xml"
HINTS: Final = {"fp32": "f32", "bf16": "bf16"}  # precisions that are offered, by OpenVINO's name


class ExportFailed(Exception):
    """The towers cannot be run by OpenVINO; the message says why."""


class OpenVinoRunner:
    """Compiled graphs, each with one request that is used again.

    That of the places is compiled when first asked for: it holds the image tower's weights once more.
    """

    name: Final = "openvino"
    workers: Final = 1

    def __init__(self, folder: Path, precision: str) -> None:
        """Compile the export in `folder`. Raises ExportFailed when this CPU has no such precision."""
        settings = compile_settings(precision)
        core: Any = openvino.Core()
        whole = core.read_model(folder / IMAGES)  # its weights stay in the file
        rows = rows_only(whole)

        def compiled(graph: Any) -> Any:
            return core.compile_model(graph, "CPU", settings)

        # OpenVINO's own threads are started by these, and give way as they do.
        with ThreadPoolExecutor(2, "candid-compile", initializer=yield_to_others) as beside:
            images, texts = beside.map(compiled, (rows, folder / TEXTS))
        self.best_batch = best_batch(rows)
        runs_in = images.get_property("INFERENCE_PRECISION_HINT").to_string()
        if runs_in != HINTS[precision]:
            raise ExportFailed(f"OpenVINO computes in {runs_in} on this CPU, not in {precision}")
        self._images, self._texts = (graph.create_infer_request() for graph in (images, texts))
        self._compiled: Callable[[], Any] = lambda: compiled(whole)
        self._places: Any = None  # until they are asked for

    def images(self, pixels: Pixels) -> Rows:
        """(B, 3, S, S) -> unit rows (B, D)."""
        return _run(self._images, pixels)

    def places(self, pixels: Pixels) -> Rows:
        """(B, 3, S, S) -> (B, 1 + P, D)."""
        if self._places is None:
            self._places = self._compiled().create_infer_request()
        return _run(self._places, pixels, output=1)

    def texts(self, ids: Ids, end: Ids | None) -> Rows:
        """(N, l), ends (N,) or None -> unit rows (N, D)."""
        return _run(self._texts, ids) if end is None else _run(self._texts, ids, end)


def best_batch(graph: Any) -> int:
    """Rows that are quickest together: as many as make the largest activation as large as the weights.

    A larger batch spares reading weights, and drives activations out of the processor's caches. For a
    transformer it is hundreds, for convolutions on large pictures a few: 3 for the embedded model.
    """
    weights, activation = 0, 1  # bytes; of one row
    for operation in graph.get_ops():
        for output in operation.outputs():
            shape, width = output.get_partial_shape(), output.get_element_type().size
            if operation.get_type_name() == "Constant":
                weights += width * math.prod(output.get_shape())
            elif shape.rank.is_static and shape.is_dynamic:
                known = (side.get_length() for side in shape if side.is_static)
                activation = max(activation, width * math.prod(known))
    return max(1, weights // activation)


def compile_settings(precision: str) -> dict[str, Any]:
    """OpenVINO's settings for a graph."""
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # decoding threads and other models want the same cores
    }
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdecimal() and int(threads):  # which torch heeds by itself
        settings["INFERENCE_NUM_THREADS"] = int(threads)
    return settings


def rows_only(images: Any) -> Any:
    """The graph of IMAGES without what only its second output, the places, needs."""
    return openvino.Model([images.get_results()[0]], images.get_parameters())


def _run(request: Any, *inputs: NDArray[Any], output: int = 0) -> Rows:
    arrays = [np.ascontiguousarray(each) for each in inputs]
    rows: Rows = request.infer(arrays, share_inputs=True)[output]  # a copy of the request's own memory
    return rows


def export_of(source: Source, root: Path) -> Export:
    """Where under `root` the export of a model is, whether it is there or not."""
    config = {"model": source.model_cfg, "preprocess": source.preprocess_cfg}
    versions = {name: _version(name) for name in ("openvino", "torch", "open_clip_torch", "timm")}
    return Export(root, source.sha256, {"config": config}, {"candid": str(EXPORT_VERSION), **versions})


def _version(package: str) -> str | None:
    """Of whatever has a say in the graph, asked without an import; None when it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
