"""The towers on OpenVINO, for CPUs, from the graphs that `openvino_export` made of them.

Imported only when it is to run: the package is an extra. Refuses to know torch.
"""

from __future__ import annotations

import os
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

# Raised when openvino_export, towers, class_token or description change what is kept.
EXPORT_VERSION: Final = 4
IMAGES, TEXTS = "images.xml", "texts.xml"
HINTS: Final = {"fp32": "f32", "bf16": "bf16"}  # precisions that are offered, by OpenVINO's name


class ExportFailed(Exception):
    """The towers cannot be run by OpenVINO; the message says why."""


class OpenVinoRunner:
    """Two compiled graphs, each with one request that is used again."""

    name: Final = "openvino"
    workers: Final = 1

    def __init__(self, folder: Path, precision: str) -> None:
        """Compile the export in `folder`. Raises ExportFailed when this CPU has no such precision."""
        settings = compile_settings(precision)
        core: Any = openvino.Core()

        def compiled(name: str) -> Any:
            return core.compile_model(folder / name, "CPU", settings)

        with ThreadPoolExecutor(2, thread_name_prefix="candid-compile") as beside:
            graphs = list(beside.map(compiled, (IMAGES, TEXTS)))
        runs_in = graphs[0].get_property("INFERENCE_PRECISION_HINT").to_string()
        if runs_in != HINTS[precision]:
            raise ExportFailed(f"OpenVINO computes in {runs_in} on this CPU, not in {precision}")
        self._images, self._texts = (graph.create_infer_request() for graph in graphs)

    def images(self, pixels: Pixels) -> Rows:
        """(B, 3, S, S) -> unit rows (B, D)."""
        return _run(self._images, pixels)

    def texts(self, ids: Ids, end: Ids | None) -> Rows:
        """(N, l), ends (N,) or None -> unit rows (N, D)."""
        return _run(self._texts, ids) if end is None else _run(self._texts, ids, end)


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


def _run(request: Any, *inputs: NDArray[Any]) -> Rows:
    arrays = [np.ascontiguousarray(each) for each in inputs]
    rows: Rows = request.infer(arrays, share_inputs=True)[0]  # a copy of the request's own memory
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
