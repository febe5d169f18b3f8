"""Where a model's files are: from the name that a person writes to a config, weights and their SHA-256.

    embedded                      the model that ships with Candid
    ViT-B-32/openai               an architecture and a pretrained tag of open_clip
    hf-hub:timm/ViT-B-32-SigLIP2  a repository on the hub that holds an open_clip_config.json
    ./my-model                    a directory with open_clip_config.json and a .safetensors file

Weights are safetensors, never a pickle. Downloads go through huggingface_hub, so `HF_ENDPOINT`,
`HF_HUB_OFFLINE`, `HF_TOKEN` and the hub's cache work as everywhere. Nothing is replaced silently: what cannot
be had raises ModelUnavailable, which says what was looked for, where, and what to do.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import ModelUnavailable, WeightsCorrupt
from models.pretrained import tags
from models.pretrained.catalogue import EMBEDDED

EMBEDDED_DIR = Path(__file__).parents[1] / "embedded"
HUB_PREFIX = "hf-hub:"
CONFIG_FILE = "open_clip_config.json"
SAFE_WEIGHTS, PICKLED_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
)  # open_clip's names
CHECKSUM_FILE = "SHA256SUMS"  # as `sha256sum` writes it; beside the weights, optional for a local directory
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Source:
    """A model's resolved files."""

    name: str  # what requests call it
    architecture: str
    tag: str
    open_clip_name: str  # for open_clip's own look-ups: built-in name, "hf-hub:…" or "local-dir:…"
    model_cfg: dict[str, Any]  # towers, as open_clip's model classes take them
    preprocess_cfg: dict[str, Any]  # as trained: mean, std, interpolation, resize_mode
    weights: Path
    sha256: str  # of the weight file, verified where a promise exists


def resolve(spec: str, *, cache_dir: str | None = None, tags_dir: Path | None = None) -> Source:
    """Find (and download, where needed) the files of `spec`. Raises ModelUnavailable or WeightsCorrupt.

    What open_clip says of a tag is kept in `tags_dir`, so that it is asked once.
    """
    if spec == EMBEDDED:
        return _from_directory(EMBEDDED, EMBEDDED_DIR)
    if spec.startswith(HUB_PREFIX):
        return _from_hub(spec, cache_dir)
    if Path(spec).is_dir():
        return _from_directory(Path(spec).resolve().name, Path(spec))
    if "/" in spec:
        return _from_tag(spec, cache_dir, tags_dir)
    raise ModelUnavailable(
        f"model {spec!r} is neither 'embedded', nor 'architecture/tag' (`candid models` lists good ones), "
        f"nor 'hf-hub:organisation/name', nor an existing directory"
    )


def _from_directory(name: str, folder: Path) -> Source:
    config = _read_config(name, folder / CONFIG_FILE)
    found = sorted(folder.glob("*.safetensors"))
    if len(found) != 1:
        what = "no .safetensors file" if not found else f"{len(found)} .safetensors files, one is expected"
        raise ModelUnavailable(f"model {name!r}: {folder} holds {what}; pickled weights are never loaded")
    return Source(
        name=name,
        architecture=str(config.get("architecture", name)),
        tag=str(config.get("tag", "local")),
        open_clip_name=f"local-dir:{folder}",
        model_cfg=config["model_cfg"],
        preprocess_cfg=config.get("preprocess_cfg", {}),
        weights=found[0],
        sha256=_verified(found[0], _promised_in(folder, found[0].name)),
    )


def _from_hub(spec: str, cache_dir: str | None) -> Source:
    repository = spec.removeprefix(HUB_PREFIX)
    config = _read_config(spec, _download(spec, repository, CONFIG_FILE, cache_dir))
    weights = _download(spec, repository, None, cache_dir)
    return Source(
        name=spec,
        architecture=repository.rpartition("/")[2],
        tag="hub",
        open_clip_name=spec,
        model_cfg=config["model_cfg"],
        preprocess_cfg=config.get("preprocess_cfg", {}),
        weights=weights,
        sha256=_verified(weights, _promised_by_hub(weights)),
    )


def _from_tag(spec: str, cache_dir: str | None, tags_dir: Path | None) -> Source:
    architecture, _, tag = spec.rpartition("/")
    model_cfg, pretrained = tags.tag(spec, tags_dir)
    repository, _, filename = str(pretrained.get("hf_hub", "")).rpartition("/")
    if not repository:
        raise ModelUnavailable(
            f"model {spec!r}: its weights are on no hub as safetensors, so they are not loaded"
        )
    # The activation belongs to the tag. open_clip only warns when it differs, and then answers wrongly.
    model_cfg["quick_gelu"] = bool(pretrained.get("quick_gelu", False))
    weights = _download(spec, repository, filename or None, cache_dir)
    return Source(
        name=spec,
        architecture=architecture,
        tag=tag,
        open_clip_name=architecture,
        model_cfg=model_cfg,
        preprocess_cfg=pretrained,
        weights=weights,
        sha256=_verified(weights, _promised_by_hub(weights)),
    )


def _download(spec: str, repository: str, filename: str | None, cache_dir: str | None) -> Path:
    """A file of a hub repository, from the hub's cache or the hub; None stands for its weights."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE

    names = _safe_first(filename or PICKLED_WEIGHTS)
    try:
        for name in names[:-1]:
            with suppress(Exception):  # whatever went wrong goes wrong with the last one too
                return Path(hf_hub_download(repository, name, cache_dir=cache_dir))
        path = Path(hf_hub_download(repository, names[-1], cache_dir=cache_dir))
    except Exception as error:
        raise ModelUnavailable(
            f"model {spec!r} cannot be had: {filename or 'its weights'} of {repository} is neither in the "
            f"cache ({cache_dir or HF_HUB_CACHE}) nor to be fetched from the hub ({ENDPOINT}). Check the "
            f"name and the network, or put the files into a directory and give its path as the model. "
            f"Cause: {error}"
        ) from error
    if filename != CONFIG_FILE and path.suffix != ".safetensors":
        raise ModelUnavailable(
            f"model {spec!r}: {repository} offers its weights only as {path.suffix or 'an unknown format'}; "
            f"Candid loads safetensors and never a pickle"
        )
    return path


def _safe_first(filename: str) -> tuple[str, ...]:
    """As open_clip looks for a file: its safetensors before its pickle."""
    path = Path(filename)
    if filename == PICKLED_WEIGHTS:
        return SAFE_WEIGHTS, filename
    return (f"{path.stem}.safetensors", filename) if path.suffix in (".bin", ".pth") else (filename,)


def _read_config(name: str, path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelUnavailable(f"model {name!r}: {path} does not exist") from error
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"model {name!r}: {path} cannot be read: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_cfg"), dict):
        raise ModelUnavailable(f"model {name!r}: {path} is no open_clip config (it has no 'model_cfg')")
    return config


def _promised_in(folder: Path, filename: str) -> str | None:
    """The SHA-256 that SHA256SUMS states for `filename`, if there is one."""
    sums = folder / CHECKSUM_FILE
    if not sums.is_file():
        return None
    for line in sums.read_text(encoding="ascii").splitlines():
        digest, _, name = line.partition(" ")
        if name.strip(" *") == filename:
            return digest
    return None


def _promised_by_hub(path: Path) -> str | None:
    """The hub's cache names a large file's blob by its SHA-256; other files carry no promise."""
    blob = path.resolve().name
    return blob if _SHA256.fullmatch(blob) else None


def _verified(path: Path, promised: str | None) -> str:
    """The file's SHA-256, as lower-case hex. Raises WeightsCorrupt when it is not the one promised."""
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if promised is not None and actual != promised:
        raise WeightsCorrupt(
            f"the weights in {path} are not the ones promised: SHA-256 {actual}, expected {promised}. "
            f"Delete the file and fetch it again"
        )
    return actual
