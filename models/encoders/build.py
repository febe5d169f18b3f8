"""A model's towers and tokenizer as open_clip makes them, on torch, and what is read off them."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any, Final

import torch
from torch.nn import init
from torch.overrides import TorchFunctionMode

from models.encoders.description import Description
from models.encoders.towers import Towers
from models.errors import CandidError, ModelUnavailable
from models.images.preprocess import Preprocess, from_open_clip
from models.pretrained.files import Source
from models.pretrained.tokenizer import OpenClipTokenizer, Tokenizer, spec_of

DTYPES: Final = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

RANDOM_FILLS: Final = {
    *(torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.erfinv_),
    *(init.normal_, init.uniform_, init.trunc_normal_),
    *(init.kaiming_normal_, init.kaiming_uniform_, init.xavier_normal_, init.xavier_uniform_),
}


class WeightsFollow(TorchFunctionMode):
    """Parameters are left as they come from memory, for a checkpoint fills every one of them (`strict`).

    Random numbers for 450 million of them took 7 s of one core.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in RANDOM_FILLS:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


def build(
    source: Source, device: str, precision: str, cache_dir: str | None
) -> tuple[Towers, Description, Tokenizer]:
    """Towers with their weights on `device`, and all that is known of the model. Raises ModelUnavailable."""
    model = _open_clips(source, device, precision, cache_dir)
    tokenizer = open_clips_tokenizer(source, cache_dir)
    preprocess = _preprocess(source, model)
    parameters = sum(parameter.numel() for parameter in model.parameters())  # before branches are folded
    towers = Towers(model, preprocess, dtype=DTYPES[precision])
    spec = spec_of(tokenizer, towers.context_length)
    description = Description(
        preprocess=preprocess,
        image_size=preprocess.size[0],
        context_length=towers.context_length,
        end_of_text=towers.end_of_text,
        logit_scale=towers.logit_scale,
        logit_bias=towers.logit_bias,
        parameters=parameters,
        tokenizer=spec,
        grid=towers.places.grid if towers.places else None,
    )
    return towers, description, spec.make() if spec else OpenClipTokenizer(tokenizer)


def open_clips_tokenizer(source: Source, cache_dir: str | None) -> Any:
    """Raises ModelUnavailable."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from open_clip import get_tokenizer

    try:
        return get_tokenizer(source.open_clip_name, cache_dir=cache_dir)
    except Exception as error:
        raise _cannot_be_built(source, error) from error


def _open_clips(source: Source, device: str, precision: str, cache_dir: str | None) -> Any:
    from open_clip import create_model

    built_in = not source.open_clip_name.startswith(("hf-hub:", "local-dir:"))
    try:
        with WeightsFollow():
            return create_model(
                source.open_clip_name,
                pretrained=str(source.weights) if built_in else None,
                precision=precision,
                device=device,
                pretrained_text=False,
                require_pretrained=True,
                cache_dir=cache_dir,
                **({"quick_gelu": source.model_cfg["quick_gelu"]} if built_in else {}),
            )
    except CandidError:
        raise
    except Exception as error:
        raise _cannot_be_built(source, error) from error


def _cannot_be_built(source: Source, error: Exception) -> ModelUnavailable:
    return ModelUnavailable(
        f"model {source.name!r} cannot be built from {source.weights}: {type(error).__name__}: {error}"
    )


def _preprocess(source: Source, model: Any) -> Preprocess:
    """The tag's own preprocessing: open_clip's defaults, then what the source states, at the tower's size."""
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    config = merge_preprocess_dict(asdict(PreprocessCfg()), source.preprocess_cfg)
    config["size"] = model.visual.image_size
    return from_open_clip(config)
