"""From a model's name to a ready `Classifier`: files, device, precision, towers, tokenizer, preprocessing.

Notable: where OpenVINO runs what was exported before, neither torch nor open_clip is imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from models.classifier import Classifier, ServingOptions
from models.encoders import choose
from models.encoders.description import Description
from models.encoders.devices import choose_device, choose_precision, warn_if_slow
from models.encoders.encoder import Encoder, Runner
from models.errors import CandidError, ModelUnavailable
from models.pretrained import catalogue, files
from models.pretrained.info import ModelInfo
from models.pretrained.tokenizer import OpenClipTokenizer, Tokenizer, Tokens

if TYPE_CHECKING:
    from models.encoders.towers import Towers

logger = logging.getLogger(__name__)

# What the installation exported: the embedded model, in a container image whose user cannot write there.
INSTALLED: Final = Path(sys.prefix) / "share" / "candid" / "encoders"


@dataclass(frozen=True, slots=True)
class Described:
    """All of a model but its towers; it can be pickled."""

    info: ModelInfo
    known: Description
    tokenizer: Tokenizer

    def encoder(self, runner: Runner) -> Encoder:
        """The towers, run by `runner`."""
        known = self.known
        return Encoder(runner, device=self.info.device, end_of_text=known.end_of_text, grid=known.grid)


Parts: TypeAlias = tuple[Runner, Description, Tokenizer]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to load and how to serve; what a service's operator may choose has a setting (`CANDID_…`)."""

    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps
    precision: str = "auto"  # auto, fp32, fp16, bf16
    cache_dir: str | None = None  # of downloaded weights; None: the hub's own
    encoder: str = "auto"  # auto (OpenVINO where it can run, else torch), torch, openvino
    encoder_dir: Path | None = None  # of what OpenVINO makes of the weights; None: auto is torch
    serving: ServingOptions = field(default_factory=ServingOptions)


def load(spec: str, options: LoadOptions | None = None) -> Classifier:
    """Load the model `spec` (see `sources`) and make it ready to classify.

    Raises ModelUnavailable when it cannot be had, WeightsCorrupt when its file is not what was promised.
    """
    options = options or LoadOptions()
    started = time.monotonic()
    described, runner = load_runner(spec, options)
    classifier = classifier_around(described, runner, options.serving)
    info, seconds = described.info, time.monotonic() - started
    logger.info(
        "model %s ready on %s (%s, %s) after %.1f s",
        info.name,
        info.device,
        info.precision,
        info.encoder,
        seconds,
    )
    return classifier


def load_runner(spec: str, options: LoadOptions) -> tuple[Described, Runner]:
    """What runs the towers of `spec`, and all else of the model, which may go elsewhere. Raises as `load`."""
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    name = choose.choose(options.encoder, device=device, precision=precision, exports=options.encoder_dir)
    source = files.resolve(spec, cache_dir=options.cache_dir, tags_dir=options.encoder_dir)
    parts: Parts | None = None
    if name == "openvino" and options.encoder_dir is not None:
        parts = _on_openvino(source, precision, options, options.encoder_dir)
    runner, known, tokenizer = parts or _on_torch(source, device, precision, options)
    described = Described(_describe(source, known, runner.name, device, precision), known, tokenizer)
    return described, runner


def classifier_around(described: Described, runner: Runner, serving: ServingOptions) -> Classifier:
    """A classifier whose towers `runner` runs, wherever they are."""
    known = described.known
    tokens = Tokens(described.tokenizer, known.context_length)
    return Classifier(described.info, described.encoder(runner), known.preprocess, tokens, serving)


def _on_openvino(source: files.Source, precision: str, options: LoadOptions, exports: Path) -> Parts | None:
    """From the kept export, or from a new one.

    When there is none: a warning and None where torch may run the model too, else ModelUnavailable.
    """
    try:
        for folder in (exports, INSTALLED):
            found = choose.kept(source, precision=precision, exports=folder)
            if found is not None:
                runner, known = found
                return runner, known, _tokenizer(source, known, options.cache_dir)
        build = _builder(source, options)
        # OpenVINO lowers the precision itself: the towers that it gets are in single.
        towers, known, tokenizer = build(source, "cpu", "fp32", options.cache_dir)
        return choose.export(towers, known, source, precision=precision, exports=exports), known, tokenizer
    except CandidError:  # the model cannot be built, whatever is to run it
        raise
    except Exception as error:  # a broken installation, a full disk, a tower that cannot be traced
        reason = f"OpenVINO cannot run model {source.name!r} ({type(error).__name__}: {error})"
        if options.encoder != "auto":
            raise ModelUnavailable(f"{reason}; set the encoder to 'auto' or 'torch'") from error
        logger.warning("%s; torch runs it: the same answers, only slower", reason)
        return None


def _tokenizer(source: files.Source, known: Description, cache_dir: str | None) -> Tokenizer:
    if known.tokenizer is not None:
        return known.tokenizer.make()
    from models.encoders.build import open_clips_tokenizer

    return OpenClipTokenizer(open_clips_tokenizer(source, cache_dir))


def _builder(
    source: files.Source, options: LoadOptions
) -> Callable[..., tuple[Towers, Description, Tokenizer]]:
    """`build.build`. Raises ModelUnavailable on an installation that only runs exports."""
    if importlib.util.find_spec("torch") is None:
        raise ModelUnavailable(
            f"model {source.name!r}: {options.encoder_dir} holds no export of it that fits, and torch, which "
            "makes one, is not installed; make it where torch is: python -m app.model_loading"
        )
    from models.encoders.build import build

    return build


def _on_torch(source: files.Source, device: str, precision: str, options: LoadOptions) -> Parts:
    warn_if_slow(precision, device)
    towers, known, tokenizer = _builder(source, options)(source, device, precision, options.cache_dir)
    return choose.on_torch(towers, max_batch=options.serving.max_batch), known, tokenizer


def _digest(source: files.Source) -> str:
    """Of the configuration: the same weights in other towers give other vectors."""
    config = json.dumps([source.model_cfg, source.preprocess_cfg], sort_keys=True, default=str)
    return hashlib.sha256(config.encode()).hexdigest()[:16]


def _describe(
    source: files.Source, known: Description, encoder: str, device: str, precision: str
) -> ModelInfo:
    row = catalogue.find(source.name)
    embed_dim = source.model_cfg.get("embed_dim")
    return ModelInfo(
        name=source.name,
        architecture=source.architecture,
        pretrained=source.tag,
        embed_dim=int(embed_dim) if embed_dim is not None else 0,
        image_size=known.image_size,
        context_length=known.context_length,
        licence=row.licence if row else "unknown: see where the weights come from",
        imagenet_top1=row.imagenet_top1 if row else None,
        accuracy_source=row.accuracy_source if row and row.imagenet_top1 is not None else None,
        device=device,
        precision=precision,
        encoder=encoder,
        # SigLIP's loss has a bias; CLIP's has none. The bias is what tells them apart in open_clip too.
        kind="softmax" if known.logit_bias is None else "sigmoid",
        logit_scale=known.logit_scale,
        logit_bias=known.logit_bias,
        fingerprint=source.sha256,
        config=_digest(source),
        parameters=known.parameters,
        default_template="plain" if source.name == catalogue.EMBEDDED else "photo",
        note=row.note if row else "",
        explain=known.grid.method if known.grid else None,
    )
