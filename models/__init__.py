"""The CLIP wing: pictures and words in, vectors and rankings out. Knows no HTTP.

`models.load(spec)` gives a `Classifier`; nothing heavy is imported before it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.classifier import Classifier
    from models.loading import LoadOptions, load

__all__ = ["Classifier", "LoadOptions", "load"]


def __getattr__(name: str) -> Any:
    """Import torch only when somebody asks for a model (PEP 562): `candid --help` stays instant."""
    if name in ("load", "LoadOptions"):
        from models import loading

        return getattr(loading, name)
    if name == "Classifier":
        from models.classifier import Classifier

        return Classifier
    raise AttributeError(f"module 'models' has no attribute {name!r}")
