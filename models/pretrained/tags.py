"""What open_clip knows of an `architecture/tag`: its towers, preprocessing, place of its weights.

open_clip imports torch, which costs seconds, so what it said is kept in a folder, for its very version.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import uuid
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from models.errors import ModelUnavailable


def tag(spec: str, kept_in: Path | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """open_clip's model config, and its row of the pretrained tag. Raises ModelUnavailable."""
    path = None
    if kept_in is not None:
        name = hashlib.sha256(f"{spec} {metadata.version('open_clip_torch')}".encode()).hexdigest()
        path = kept_in / f"tag-{name[:16]}.json"
        with suppress(OSError, ValueError):
            known = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(known, dict) and known.get("spec") == spec:
                return known["model_cfg"], known["pretrained"]
    if importlib.util.find_spec("torch") is None:
        raise ModelUnavailable(
            f"model {spec!r}: {kept_in} holds no export of it, and torch, which makes one, is not installed; "
            "make it where torch is: python -m app.model_loading"
        )
    model_cfg, pretrained = json.loads(json.dumps(_ask(spec)))  # the same as when it was kept
    if path is not None:
        with suppress(OSError):  # it is asked again next time
            _write(path, {"spec": spec, "model_cfg": model_cfg, "pretrained": pretrained})
    return model_cfg, pretrained


def _ask(spec: str) -> tuple[dict[str, Any], dict[str, Any]]:
    from open_clip import get_model_config, list_pretrained_tags_by_model
    from open_clip.pretrained import get_pretrained_cfg

    architecture, _, name = spec.rpartition("/")
    model_cfg = get_model_config(architecture)
    if model_cfg is None:
        raise ModelUnavailable(
            f"model {spec!r}: open_clip has no architecture {architecture!r}; `candid models` lists some"
        )
    pretrained = get_pretrained_cfg(architecture, name)
    if not pretrained:
        tags = ", ".join(list_pretrained_tags_by_model(architecture)) or "none"
        raise ModelUnavailable(
            f"model {spec!r}: {architecture} has no pretrained tag {name!r}; it has: {tags}"
        )
    return model_cfg, pretrained


def _write(path: Path, value: dict[str, Any]) -> None:
    """Whole or not at all, whoever else writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    made.write_text(json.dumps(value), encoding="utf-8")
    made.replace(path)
