"""Which errors end the process, and which one request."""

from __future__ import annotations

import torch

from models.devices import OUT_OF_MEMORY, is_lost


def accelerator_error(code: int) -> torch.AcceleratorError:
    error = torch.AcceleratorError("CUDA error")
    error.error_code = code
    return error


def test_a_device_is_lost_after_an_illegal_access_and_not_after_too_little_memory() -> None:
    assert is_lost(accelerator_error(700))
    assert not is_lost(accelerator_error(OUT_OF_MEMORY))
    assert not is_lost(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_lost(RuntimeError("a bad picture"))
