"""The device: which one there is, what it computes in, and when it is lost.

torch knows, but costs seconds to import: it is not asked where no GPU can be.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from models.errors import ModelUnavailable

logger = logging.getLogger(__name__)

OUT_OF_MEMORY: Final = 2  # cudaErrorMemoryAllocation


def choose_device(wanted: str) -> str:
    """The device to run on. Raises ModelUnavailable when the one asked for is not there."""
    if wanted == "cpu" or (wanted == "auto" and not _may_have_gpu()):
        return "cpu"
    import torch

    cuda = torch.cuda.is_available()
    mps = torch.backends.mps.is_available()
    if wanted == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    kind = wanted.partition(":")[0]
    if (kind == "cuda" and not cuda) or (kind == "mps" and not mps):
        raise ModelUnavailable(f"device {wanted!r} was asked for, but torch finds none; use 'auto' or 'cpu'")
    return wanted


def _may_have_gpu() -> bool:
    """False where torch would find none: no torch, no driver, no Apple computer."""
    if importlib.util.find_spec("torch") is None:
        return False
    if sys.platform == "darwin" or Path("/dev/kfd").exists():
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def choose_precision(wanted: str, device: str) -> str:
    """Half precision on a GPU, single on a CPU, unless asked otherwise."""
    if wanted != "auto":
        return wanted
    return "fp32" if device == "cpu" else "fp16"


def warn_if_slow(precision: str, device: str) -> None:
    """Before torch computes in bf16 on a processor that does not; OpenVINO refuses by itself."""
    if precision == "bf16" and device == "cpu" and not _cpu_has_bf16():
        logger.warning("this processor does not compute in bf16: expect it to be many times slower than fp32")


def _cpu_has_bf16() -> bool:
    """Of an x86 processor; of others torch tells nothing that would be to the point."""
    import torch

    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch tells nothing
    return able.get("architecture") != "x86_64" or bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def release_memory(device: str) -> None:
    """Give cached blocks back, so that half a batch may fit where a whole one did not."""
    if device.startswith("cuda"):
        import torch

        with suppress(RuntimeError):  # after some failures the allocator refuses even that
            torch.cuda.empty_cache()


def is_lost(error: Exception) -> bool:
    """Whether nothing can be computed in this process any more, as after an illegal access on the GPU.

    Too little memory is no such thing, though it comes as the same exception where it is pinned memory.
    """
    torch = sys.modules.get("torch")  # who did not import it has not raised its errors
    return (
        torch is not None
        and isinstance(error, torch.AcceleratorError)
        and getattr(error, "error_code", None) != OUT_OF_MEMORY
    )
