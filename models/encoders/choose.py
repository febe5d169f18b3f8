"""Which runner a model's towers get: OpenVINO on a CPU where it is installed, torch everywhere else."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from models.encoders import description
from models.encoders.description import Description
from models.encoders.encoder import Runner
from models.errors import ModelUnavailable
from models.pretrained.files import Source

if TYPE_CHECKING:
    from models.encoders.towers import Towers

Name = Literal["torch", "openvino"]
OPENVINO_PRECISIONS: Final = ("fp32", "bf16")


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
    import torch

    from models.encoders.torch_runner import TorchRunner

    if sum(isinstance(module, torch.nn.Conv2d) for module in towers.image.modules()) > 1:
        # Convolutions want a pixel's channels together: 1.1 to 1.4 times as fast from batches of 8 on
        # (bench/encoders.py). A vision transformer has one only, of which it makes its tokens.
        towers.image.to(memory_format=torch.channels_last)
    if next(towers.image.parameters()).device.type == "cuda":
        from models.encoders.cuda_runner import CudaRunner

        return CudaRunner(towers, max_batch=max_batch)
    return TorchRunner(towers)


def kept(source: Source, *, precision: str, exports: Path) -> tuple[Runner, Description] | None:
    """OpenVINO's runner of what was made of this model before; None when that is not there, or not sound.

    Imports no torch. Raises ExportFailed when this CPU has no such precision.
    """
    from models.encoders import openvino_runner

    export = openvino_runner.export_of(source, exports)
    if not export.is_sound():
        return None
    return openvino_runner.OpenVinoRunner(export.folder, precision), description.read(export.folder)


def export(towers: Towers, known: Description, source: Source, *, precision: str, exports: Path) -> Runner:
    """OpenVINO's runner of towers that are exported now. Raises ExportFailed or OSError."""
    from models.encoders import openvino_export, openvino_runner

    place = openvino_runner.export_of(source, exports)
    openvino_export.make(towers, known, place)
    return openvino_runner.OpenVinoRunner(place.folder, precision)
