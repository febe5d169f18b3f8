"""Constants fitted to the embedded model. Written by bench/answers.py; not to be edited."""

from __future__ import annotations

from typing import Final

FINGERPRINT: Final = "0c1896e97262103938dee17e3da3de94c36a98fff5039166b27e942d1713f802"
"""SHA-256 of the weights."""
TEMPERATURE: Final = 1.02
"""Divides the logits: fitted on Caltech-101."""
SLOPE: Final = 0.91
OFFSET: Final = -2.37
"""The curve of `models.multi`: fitted on pairs of Caltech-101's pictures."""
