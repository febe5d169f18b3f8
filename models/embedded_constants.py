"""Constants fitted to the embedded model. Written by bench/answers.py; not to be edited."""

from __future__ import annotations

from typing import Final

FINGERPRINT: Final = "c2eefce3953a1de81cfb80e153cc475230f3d1e626764af2f3f2c672db1c5df7"
"""SHA-256 of the weights."""
TEMPERATURE: Final = 1.26
"""Divides the logits: fitted on Caltech-101."""
SLOPE: Final = 1.07
OFFSET: Final = -2.76
"""The curve of `scoring.multi_label`: fitted on pairs of Caltech-101's pictures."""
