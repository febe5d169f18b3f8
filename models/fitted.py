"""Constants fitted to the embedded model. Written by bench/answers.py; not to be edited."""

from __future__ import annotations

from typing import Final

FINGERPRINT: Final = "7693ba052afc82659678bcc4b2b42ee28c00b84f01946bc04daa0b2d22b53b16"
"""SHA-256 of the weights."""
TEMPERATURE: Final = 1.24
"""Divides the logits: fitted on Caltech-101."""
SLOPE: Final = 1.09
OFFSET: Final = -2.77
"""The curve of `models.multi`: fitted on pairs of Caltech-101's pictures."""
