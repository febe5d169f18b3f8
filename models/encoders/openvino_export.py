"""OpenVINO's graphs of the towers, made once for each model and kept.

Notable: the export is traced from the same towers that torch runs, and is kept only after it gave their
answers on batches of other sizes than the traced ones. OpenVINO's own converter is not used, because it
reports over the network that it was; the frontend beneath it does not.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import openvino
import torch

from models.encoders.description import Description
from models.encoders.encoder import Rows
from models.encoders.export_cache import Export
from models.encoders.openvino_runner import IMAGES, TEXTS, ExportFailed, OpenVinoRunner
from models.encoders.torch_runner import TorchRunner
from models.encoders.towers import Towers

logger = logging.getLogger(__name__)

ELEMENT_TYPES: Final = {
    torch.uint8: openvino.Type.u8,
    torch.int64: openvino.Type.i64,
    torch.float32: openvino.Type.f32,
}
MIN_COSINE: Final = 0.9999  # between torch's answers and the export's, in single precision


def make(towers: Towers, description: Description, export: Export) -> None:
    """Export the towers, with what is known of the model. Raises ExportFailed or OSError."""
    began = time.monotonic()
    with export.making() as folder:
        write(towers, folder)
        check(towers, OpenVinoRunner(folder, "fp32"))
        description.write(folder)
    logger.info("towers exported for OpenVINO to %s in %.1f s", export.folder, time.monotonic() - began)


class RowsAndPlaces(torch.nn.Module):
    """One graph for both, so that the weights are kept once; whoever wants the rows alone cuts it short."""

    def __init__(self, places: torch.nn.Module) -> None:
        super().__init__()
        self.places = places

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        both = self.places(pixels)  # (B, 1 + P, D)
        return both[:, 0], both


def write(towers: Towers, folder: Path) -> None:
    """Trace both towers and write their graphs. Batches and, where trimmed, text lengths stay open."""
    height, width = towers.image_size
    pixels = torch.zeros(2, 3, height, width, dtype=torch.uint8)
    images = towers.image if towers.places is None else RowsAndPlaces(towers.places).eval()
    _export(images, (pixels,), [(-1, 3, height, width)], folder / IMAGES)
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
    openvino.save_model(graph_of(tower, example, shapes), path, compress_to_fp16=False)


def graph_of(
    tower: torch.nn.Module, example: tuple[torch.Tensor, ...], shapes: Sequence[tuple[int, ...]]
) -> Any:
    """The openvino.Model of a tower, whose inputs may have `shapes`, -1 for any. Raises ExportFailed."""
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
            node.get_node().set_element_type(ELEMENT_TYPES[tensor.dtype])
        graph.validate_nodes_and_infer_types()
        return graph
    except Exception as error:  # torch's tracer and OpenVINO raise whatever they meet
        raise ExportFailed(f"{type(tower).__name__} cannot be exported: {error}") from error


def check(towers: Towers, runner: OpenVinoRunner) -> None:
    """Compare with torch on batches of one and of three. Raises ExportFailed when the answers differ."""
    reference = TorchRunner(towers)
    random = np.random.default_rng(0)
    height, width = towers.image_size
    for count in (1, 3):
        pixels = random.integers(0, 256, (count, 3, height, width), dtype=np.uint8)
        _same(reference.images(pixels), runner.images(pixels), "pictures")
        if towers.places is not None:
            _same(_unit(reference.places(pixels)), _unit(runner.places(pixels)), "places")
        length = (
            towers.context_length if towers.end_of_text is None else min(4 + count, towers.context_length)
        )
        ids = random.integers(1, 400, (count, length))
        end = None if towers.end_of_text is None else np.arange(length - count, length)
        _same(reference.texts(ids, end), runner.texts(ids, end), "texts")


def _unit(places: Rows) -> Rows:
    """Each row by itself: (…, D), of any length but 0."""
    return places / np.linalg.norm(places, axis=-1, keepdims=True)  # type: ignore[no-any-return]


def _same(ours: Rows, theirs: Rows, what: str) -> None:
    cosine = float((ours * theirs).sum(axis=-1).min()) if ours.shape == theirs.shape else float("nan")
    if not cosine >= MIN_COSINE:
        raise ExportFailed(f"OpenVINO's embeddings of {what} are not torch's (cosine {cosine:.6f})")
