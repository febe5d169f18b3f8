"""What the device can compute in, and which errors end the process and which one request."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch

from models.encoders.devices import OUT_OF_MEMORY, choose_precision, is_lost, warn_if_slow


def accelerator_error(code: int) -> torch.AcceleratorError:
    error = torch.AcceleratorError("CUDA error")
    error.error_code = code
    return error


def test_a_device_is_lost_after_an_illegal_access_and_not_after_too_little_memory() -> None:
    assert is_lost(accelerator_error(700))
    assert not is_lost(accelerator_error(OUT_OF_MEMORY))
    assert not is_lost(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_lost(RuntimeError("a bad picture"))


@pytest.mark.parametrize(
    ("able", "told"),
    [
        ({"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False}, True),
        ({"architecture": "x86_64", "avx512_bf16": True}, False),
        ({"architecture": "arm64"}, False),
    ],
)
def test_bf16_without_a_processor_for_it_is_said_to_be_slow(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, able: dict[str, Any], told: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    with caplog.at_level(logging.WARNING):
        assert choose_precision("bf16", "cpu") == "bf16"
        warn_if_slow("bf16", "cpu")
        assert choose_precision("auto", "cpu") == "fp32"
    assert ("does not compute in bf16" in caplog.text) is told
