"""Optional packages: what is said where one is missing."""

from __future__ import annotations

from models.errors import CandidError


class ExtraMissing(CandidError):
    """What is asked for needs a package that is not installed."""

    code = "extra_missing"
