"""From a model's name to a ready `Classifier`: files, device, precision, towers, tokenizer, preprocessing."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, field
from typing import Any

import torch

from models import catalogue, sources
from models.classifier import Classifier, ModelInfo, ServingOptions
from models.devices import choose_device, choose_precision
from models.encoder import Encoder
from models.errors import CandidError, ModelUnavailable
from models.preprocess import Preprocess, from_open_clip
from models.tokens import Tokens

logger = logging.getLogger(__name__)

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to load and how to serve; every field has a setting of the same meaning (`CANDID_…`)."""

    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps
    precision: str = "auto"  # auto, fp32, fp16, bf16
    cache_dir: str | None = None  # of downloaded weights; None: the hub's own
    serving: ServingOptions = field(default_factory=ServingOptions)


def load(spec: str, options: LoadOptions | None = None) -> Classifier:
    """Load the model `spec` (see `sources`) and make it ready to classify.

    Raises ModelUnavailable when it cannot be had, WeightsCorrupt when its file is not what was promised.
    """
    options = options or LoadOptions()
    started = time.monotonic()
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    source = sources.resolve(spec, cache_dir=options.cache_dir)
    try:
        model, tokens = _build(source, device, precision, options.cache_dir)
    except CandidError:
        raise
    except Exception as error:
        raise ModelUnavailable(
            f"model {source.name!r} cannot be built from {source.weights}: {type(error).__name__}: {error}"
        ) from error
    preprocess = _preprocess(source, model)
    encoder = Encoder(model, preprocess, device=device, dtype=_DTYPES[precision])
    info = _describe(source, model, encoder, preprocess, tokens, precision)
    classifier = Classifier(info, encoder, preprocess, tokens, options.serving)
    logger.info(
        "model %s ready on %s (%s) after %.1f s",
        info.name,
        info.device,
        precision,
        time.monotonic() - started,
    )
    return classifier


def _build(
    source: sources.Source, device: str, precision: str, cache_dir: str | None
) -> tuple[torch.nn.Module, Tokens]:
    """Towers with their weights, and the tokenizer, as open_clip makes them."""
    # The towers' names resolve before open_clip loads: a hub is asked only for files that are weights here.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from open_clip import create_model, get_tokenizer

    built_in = not source.open_clip_name.startswith(("hf-hub:", "local-dir:"))
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
    context_length = int(getattr(model, "context_length", 77))
    return model, Tokens(get_tokenizer(source.open_clip_name, cache_dir=cache_dir), context_length)


def _preprocess(source: sources.Source, model: Any) -> Preprocess:
    """The tag's own preprocessing: open_clip's defaults, then what the source states, at the tower's size."""
    from dataclasses import asdict

    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    config = merge_preprocess_dict(asdict(PreprocessCfg()), source.preprocess_cfg)
    config["size"] = model.visual.image_size
    return from_open_clip(config)


def _describe(
    source: sources.Source,
    model: Any,
    encoder: Encoder,
    preprocess: Preprocess,
    tokens: Tokens,
    precision: str,
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
        # SigLIP's loss has a bias; CLIP's has none. The bias is what tells them apart in open_clip too.
        kind="softmax" if encoder.logit_bias is None else "sigmoid",
        logit_scale=encoder.logit_scale,
        logit_bias=encoder.logit_bias,
        fingerprint=source.sha256,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        default_template="plain" if source.name == catalogue.EMBEDDED else "photo",
        note=row.note if row else "",
    )
