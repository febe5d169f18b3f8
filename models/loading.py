"""From a model's name to a ready `Classifier`: files, device, precision, towers, tokenizer, preprocessing."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from models.classifier import Classifier, ServingOptions
from models.encoders import choose
from models.encoders.devices import choose_device, choose_precision
from models.encoders.encoder import Encoder, Runner
from models.encoders.towers import Towers
from models.errors import CandidError, ModelUnavailable
from models.images.preprocess import Preprocess, from_open_clip
from models.pretrained import catalogue, files
from models.pretrained.info import ModelInfo
from models.pretrained.tokenizer import Tokens

logger = logging.getLogger(__name__)

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


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
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    name = choose.choose(options.encoder, device=device, precision=precision, exports=options.encoder_dir)
    source = files.resolve(spec, cache_dir=options.cache_dir)
    # OpenVINO lowers the precision itself: the towers that it gets are in single.
    towers_precision = precision if name == "torch" else "fp32"
    exports = options.encoder_dir if name == "openvino" else None
    with ThreadPoolExecutor(1, thread_name_prefix="candid-load") as beside:
        before: Future[Runner | None] = Future()
        if exports is not None:
            # It reads and compiles while open_clip is imported and torch builds the towers.
            before = beside.submit(choose.kept, source, precision=precision, exports=exports)
        model, tokens = _build(source, device, towers_precision, options.cache_dir)
    preprocess = _preprocess(source, model)
    towers = Towers(model, preprocess, dtype=_DTYPES[towers_precision])
    runner: Runner | None
    if exports is not None:
        may_fail = options.encoder == "auto"
        runner = choose.on_openvino(
            towers, source, before.result, precision=precision, exports=exports, may_fail=may_fail
        )
        if runner is None:  # again from the start: torch may want another precision
            return load(spec, replace(options, encoder="torch"))
    else:
        runner = choose.on_torch(towers, max_batch=options.serving.max_batch)
    encoder = Encoder(runner, device=device, end_of_text=towers.end_of_text)
    info = _describe(source, model, towers, encoder, tokens, precision)
    classifier = Classifier(info, encoder, preprocess, tokens, options.serving)
    seconds = time.monotonic() - started
    logger.info(
        "model %s ready on %s (%s, %s) after %.1f s", info.name, device, precision, info.encoder, seconds
    )
    return classifier


def _build(
    source: files.Source, device: str, precision: str, cache_dir: str | None
) -> tuple[torch.nn.Module, Tokens]:
    """Towers with their weights, and the tokenizer, as open_clip makes them. Raises ModelUnavailable."""
    # The towers' names resolve before open_clip loads: a hub is asked only for files that are weights here.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from open_clip import create_model, get_tokenizer

    built_in = not source.open_clip_name.startswith(("hf-hub:", "local-dir:"))
    try:
        model = create_model(
            source.open_clip_name,
            pretrained=str(source.weights) if built_in else None,
            precision=precision,
            device=device,
            pretrained_text=False,
            require_pretrained=True,
            cache_dir=cache_dir,
            **({"quick_gelu": source.model_cfg["quick_gelu"]} if built_in else {}),
        )
        tokenizer = get_tokenizer(source.open_clip_name, cache_dir=cache_dir)
    except CandidError:
        raise
    except Exception as error:
        raise ModelUnavailable(
            f"model {source.name!r} cannot be built from {source.weights}: {type(error).__name__}: {error}"
        ) from error
    return model, Tokens(tokenizer, int(getattr(model, "context_length", 77)))


def _preprocess(source: files.Source, model: Any) -> Preprocess:
    """The tag's own preprocessing: open_clip's defaults, then what the source states, at the tower's size."""
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    config = merge_preprocess_dict(asdict(PreprocessCfg()), source.preprocess_cfg)
    config["size"] = model.visual.image_size
    return from_open_clip(config)


def _digest(source: files.Source) -> str:
    """Of the configuration: the same weights in other towers give other vectors."""
    config = json.dumps([source.model_cfg, source.preprocess_cfg], sort_keys=True, default=str)
    return hashlib.sha256(config.encode()).hexdigest()[:16]


def _describe(
    source: files.Source, model: Any, towers: Towers, encoder: Encoder, tokens: Tokens, precision: str
) -> ModelInfo:
    row = catalogue.find(source.name)
    size = model.visual.image_size
    embed_dim = source.model_cfg.get("embed_dim")
    return ModelInfo(
        name=source.name,
        architecture=source.architecture,
        pretrained=source.tag,
        embed_dim=int(embed_dim) if embed_dim is not None else 0,
        image_size=int(size[0] if isinstance(size, list | tuple) else size),
        context_length=tokens.context_length,
        licence=row.licence if row else "unknown: see where the weights come from",
        imagenet_top1=row.imagenet_top1 if row else None,
        accuracy_source=row.accuracy_source if row and row.imagenet_top1 is not None else None,
        device=str(encoder.device),
        precision=precision,
        encoder=encoder.name,
        # SigLIP's loss has a bias; CLIP's has none. The bias is what tells them apart in open_clip too.
        kind="softmax" if towers.logit_bias is None else "sigmoid",
        logit_scale=towers.logit_scale,
        logit_bias=towers.logit_bias,
        fingerprint=source.sha256,
        config=_digest(source),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        default_template="plain" if source.name == catalogue.EMBEDDED else "photo",
        note=row.note if row else "",
    )
