"""Constants fitted to the embedded model. Written by bench/answers.py; not to be edited."""

from __future__ import annotations

from typing import Final

FINGERPRINT: Final = "18e4f55743e268cd358f66f6b2a0eb3785ace1699a9ea09b86f2215e6ee8ea3e"
"""SHA-256 of the weights."""
TEMPERATURE: Final = 1.11
"""Divides the logits: fitted on Caltech-101."""
SLOPE: Final = 0.52
OFFSET: Final = -1.80
"""The curve of `models.multi`: fitted on pairs of Caltech-101's pictures."""
