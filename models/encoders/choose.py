"""Which runner a model's towers get: OpenVINO on a CPU where it is installed, torch everywhere else."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import torch

from models.encoders.encoder import Runner
from models.encoders.torch_runner import TorchRunner
from models.encoders.towers import Towers
from models.errors import ModelUnavailable
from models.pretrained.files import Source

Name = Literal["torch", "openvino"]
OPENVINO_PRECISIONS: Final = ("fp32", "bf16")

logger = logging.getLogger(__name__)


def choose(wanted: str, *, device: str, precision: str, exports: Path | None) -> Name:
    """The runner's name, from auto, torch or openvino. Raises ModelUnavailable for one that cannot be had."""
    if wanted == "torch":
        return "torch"
    why_not = _why_not_openvino(device, precision, exports)
    if wanted == "openvino" and why_not:
        raise ModelUnavailable(f"encoder 'openvino' was asked for, but {why_not}")
    return "torch" if why_not else "openvino"


def _why_not_openvino(device: str, precision: str, exports: Path | None) -> str | None:
    if device != "cpu":
        return f"it runs on the CPU and the device is {device!r}: set that to 'cpu', or the encoder to 'auto'"
    if precision not in OPENVINO_PRECISIONS:
        return f"the precision is {precision!r}; it offers {' and '.join(OPENVINO_PRECISIONS)}"
    if importlib.util.find_spec("openvino") is None:
        return "it is not installed: pip install 'candid[openvino]'"
    if exports is None:
        return "no directory is named for what it makes of the weights (encoder_dir)"
    return None


def on_torch(towers: Towers, *, max_batch: int) -> Runner:
    """torch's runner for the device that the towers are on."""
    if sum(isinstance(module, torch.nn.Conv2d) for module in towers.image.modules()) > 1:
        # Convolutions want a pixel's channels together: 1.1 to 1.4 times as fast from batches of 8 on
        # (bench/encoders.py). A vision transformer has one only, of which it makes its tokens.
        towers.image.to(memory_format=torch.channels_last)
    if next(towers.image.parameters()).device.type == "cuda":
        from models.encoders.cuda_runner import CudaRunner

        return CudaRunner(towers, max_batch=max_batch)
    return TorchRunner(towers)


def kept(source: Source, *, precision: str, exports: Path) -> Runner | None:
    """OpenVINO's runner of what it made of this model before; None when that is not there, or not sound."""
    from models.encoders import openvino_runner

    return openvino_runner.kept(exports, **_made_from(source), precision=precision)


def on_openvino(
    towers: Towers,
    source: Source,
    before: Callable[[], Runner | None],
    *,
    precision: str,
    exports: Path,
    may_fail: bool,
) -> Runner | None:
    """OpenVINO's runner: the one that `before`, a call of `kept`, found, or a new one.

    When there is none: a warning and None if it `may_fail`, else ModelUnavailable.
    """
    try:
        from models.encoders import openvino_runner

        return before() or openvino_runner.start(towers, exports, **_made_from(source), precision=precision)
    except Exception as error:  # a broken installation, a full disk, a tower that cannot be traced
        told = f"OpenVINO cannot run model {source.name!r} ({type(error).__name__}: {error})"
        if not may_fail:
            raise ModelUnavailable(f"{told}; set the encoder to 'auto' or 'torch'") from error
        logger.warning("%s; torch runs it: the same answers, only slower", told)
        return None


def _made_from(source: Source) -> dict[str, Any]:
    return {
        "fingerprint": source.sha256,
        "config": {"model": source.model_cfg, "preprocess": source.preprocess_cfg},
    }
