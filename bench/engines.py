"""Ways to run the same two towers on a CPU, each as a `Runner`: for measuring which is worth having.

OpenVINO's is Candid's own. ONNX Runtime is no dependency: `pip install onnxruntime onnx onnxscript` beside
Candid, or it is left out and named as such.
"""

from __future__ import annotations

import copy
import importlib.util
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.encoders import openvino_export, openvino_runner
from models.encoders.encoder import Runner
from models.encoders.openvino_runner import IMAGES, TEXTS, OpenVinoRunner
from models.encoders.torch_runner import TorchRunner
from models.encoders.towers import Towers

Rows = NDArray[np.float32]


def build(make: Callable[[str], Towers], folder: Path) -> Iterator[tuple[str, Runner | str]]:
    """Each engine's name with its runner, or with the reason why there is none.

    `make` builds the towers in a precision; `folder` keeps what engines make of them.
    """
    towers = make("fp32")
    yield "torch", TorchRunner(towers)
    convolutions = [each for each in towers.image.modules() if isinstance(each, torch.nn.Conv2d)]
    if len(convolutions) > 1:  # a vision transformer has one, of which it makes its tokens
        yield "torch, channels last", TorchRunner(channels_last(make("fp32")))
    yield "torch.compile", TorchRunner(compiled(towers))
    graphs = folder / "openvino"
    if not (graphs / TEXTS).is_file():
        graphs.mkdir(parents=True, exist_ok=True)
        openvino_export.write(towers, graphs)
    yield "openvino", OpenVinoRunner(graphs, "fp32")
    yield "openvino, fixed shapes", FixedShapes(graphs)
    for name, quantised in (("onnxruntime", False), ("onnxruntime, dynamic int8", True)):
        missing = [p for p in ("onnxruntime", "onnx", "onnxscript") if importlib.util.find_spec(p) is None]
        yield (
            name,
            f"not installed: {', '.join(missing)}" if missing else OnnxRunner(towers, folder, quantised),
        )
    try:
        half = OpenVinoRunner(graphs, "bf16")
    except openvino_runner.ExportFailed as error:  # torch would compute, and take up to fifty times as long
        yield "openvino bf16", str(error)
        yield "torch bf16", str(error)
    else:
        yield "openvino bf16", half
        yield "torch bf16", TorchRunner(make("bf16"))


def channels_last(towers: Towers) -> Towers:
    towers.image.to(memory_format=torch.channels_last)
    return towers


def compiled(towers: Towers) -> Towers:
    """torch.compile, the weights shared; anew for each size: symbolic ones take a convnet hours."""
    made = copy.copy(towers)
    made.image, made.text = (torch.compile(tower, dynamic=False) for tower in (towers.image, towers.text))
    return made


class FixedShapes:
    """OpenVINO with a graph made for the very size of the batch: what open shapes cost."""

    name = "openvino"
    workers = 1
    best_batch = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._requests: dict[tuple[Any, ...], Any] = {}  # one at a time: each holds the weights anew

    def images(self, pixels: NDArray[Any]) -> Rows:
        return self._run(IMAGES, pixels)

    def texts(self, ids: NDArray[Any], end: NDArray[Any] | None) -> Rows:
        return self._run(TEXTS, ids) if end is None else self._run(TEXTS, ids, end)

    def _run(self, name: str, *inputs: NDArray[Any]) -> Rows:
        import openvino

        key = (name, *(tuple(each.shape) for each in inputs))
        if key not in self._requests:
            self._requests.clear()
            core: Any = openvino.Core()
            graph = core.read_model(self._folder / name)
            if name == IMAGES:
                graph = openvino_runner.rows_only(graph)
            graph.reshape({i: openvino.PartialShape(list(each.shape)) for i, each in enumerate(inputs)})
            settings = openvino_runner.compile_settings("fp32")
            self._requests[key] = core.compile_model(graph, "CPU", settings).create_infer_request()
        return openvino_runner._run(self._requests[key], *inputs)


class OnnxRunner:
    """ONNX Runtime's CPU provider, single precision or with weights quantised to 8 bits."""

    name = "onnxruntime"
    workers = 1
    best_batch = None

    def __init__(self, towers: Towers, folder: Path, quantised: bool) -> None:
        import onnxruntime

        paths = [_onnx(towers, folder, which) for which in ("images", "texts")]
        if quantised:
            paths = [_quantised(path) for path in paths]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self._images, self._texts = (
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            for path in paths
        )

    def images(self, pixels: NDArray[Any]) -> Rows:
        return self._run(self._images, pixels)

    def texts(self, ids: NDArray[Any], end: NDArray[Any] | None) -> Rows:
        return self._run(self._texts, ids) if end is None else self._run(self._texts, ids, end)

    def _run(self, session: Any, *inputs: NDArray[Any]) -> Rows:
        names = [each.name for each in session.get_inputs()]
        given = {name: np.ascontiguousarray(each) for name, each in zip(names, inputs, strict=True)}
        rows: Rows = session.run(None, given)[0]
        return rows


def _onnx(towers: Towers, folder: Path, which: str) -> Path:
    path = folder / f"{which}.onnx"
    if not path.is_file():
        batch, length = torch.export.Dim.AUTO, torch.export.Dim.AUTO
        height, width = towers.image_size
        tower: torch.nn.Module = towers.image if which == "images" else towers.text
        example: tuple[torch.Tensor, ...] = (torch.zeros(4, 3, height, width, dtype=torch.uint8),)
        shapes: tuple[Any, ...] = ({0: batch},)
        if which == "texts":
            example = (torch.ones(4, 7, dtype=torch.int64), torch.tensor([1, 2, 3, 4]))
            shapes = ({0: batch, 1: length}, {0: batch})
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(tower, example, str(path), dynamo=True, dynamic_shapes=shapes, verbose=False)
    return path


def _quantised(path: Path) -> Path:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    small = path.with_suffix(".int8.onnx")
    if not small.is_file():
        quantize_dynamic(str(path), str(small), weight_type=QuantType.QInt8)
    return small
