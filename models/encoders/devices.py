"""What torch says of the device: which one there is, what it computes in, and when it is lost."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any, Final

import torch

from models.errors import ModelUnavailable

logger = logging.getLogger(__name__)

OUT_OF_MEMORY: Final = 2  # cudaErrorMemoryAllocation


def choose_device(wanted: str) -> str:
    """The device to run on. Raises ModelUnavailable when the one asked for is not there."""
    cuda = torch.cuda.is_available()
    mps = torch.backends.mps.is_available()
    if wanted == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    kind = wanted.partition(":")[0]
    if (kind == "cuda" and not cuda) or (kind == "mps" and not mps):
        raise ModelUnavailable(f"device {wanted!r} was asked for, but torch finds none; use 'auto' or 'cpu'")
    return wanted


def choose_precision(wanted: str, device: str) -> str:
    """Half precision on a GPU, single on a CPU, unless asked otherwise."""
    if wanted == "bf16" and device == "cpu" and not _cpu_has_bf16():
        logger.warning("this processor does not compute in bf16: expect it to be many times slower than fp32")
    if wanted != "auto":
        return wanted
    return "fp32" if device == "cpu" else "fp16"


def _cpu_has_bf16() -> bool:
    """Of an x86 processor; of others torch tells nothing that would be to the point."""
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch tells nothing
    return able.get("architecture") != "x86_64" or bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def release_memory(device: torch.device) -> None:
    """Give cached blocks back, so that half a batch may fit where a whole one did not."""
    if device.type == "cuda":
        with suppress(RuntimeError):  # after some failures the allocator refuses even that
            torch.cuda.empty_cache()


def is_lost(error: Exception) -> bool:
    """Whether nothing can be computed in this process any more, as after an illegal access on the GPU.

    Too little memory is no such thing, though it comes as the same exception where it is pinned memory.
    """
    return isinstance(error, torch.AcceleratorError) and getattr(error, "error_code", None) != OUT_OF_MEMORY
