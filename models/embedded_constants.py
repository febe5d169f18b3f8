"""Constants fitted to the embedded model. Written by bench/answers.py; not to be edited."""

from __future__ import annotations

from typing import Final

FINGERPRINT: Final = "6e10af2722899ac24cb086ddfd761ab4fd1c45cb0eab31fefc0a02e5afd14862"
"""SHA-256 of the weights."""
TEMPERATURE: Final = 0.87
"""Divides the logits: fitted on Caltech-101."""
SLOPE: Final = 1.44
OFFSET: Final = -4.03
"""The curve of `scoring.multi_label`: fitted on pairs of Caltech-101's pictures."""
