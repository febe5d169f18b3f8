"""Constants fitted to the embedded model. Written by bench/answers.py; not to be edited."""

from __future__ import annotations

from typing import Final

FINGERPRINT: Final = "fc5970b3963ca6b90bc9f73860a54131c8e3022b0e9e06f15f307febbdc4d0d0"
"""SHA-256 of the weights."""
TEMPERATURE: Final = 1.11
"""Divides the logits: fitted on Caltech-101."""
SLOPE: Final = 1.05
OFFSET: Final = -2.33
"""The curve of `models.multi`: fitted on pairs of Caltech-101's pictures."""
