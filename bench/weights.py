"""One randomly initialised ViT-B/32 in each program's own format. Timing does not depend on values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from models.pretrained.catalogue import EMBEDDED

CACHE = Path(".cache/bench")
ARCHITECTURE = "ViT-B-32"

# open_clip's names for the parts of a block -> transformers' names. Attention's joint one is split.
_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_REST = {
    "logit_scale": "logit_scale",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",  # sic
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
}
_PROJECTIONS = {"text_projection": "text_projection.weight", "visual.proj": "visual_projection.weight"}


def for_open_clip() -> Path:
    """A folder that open_clip and Candid load."""
    folder = CACHE / "vit-b-32-open-clip"
    if not (folder / "open_clip_model.safetensors").is_file():
        import open_clip
        import torch
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        model = open_clip.create_model(ARCHITECTURE, load_weights=False)
        config = {"model_cfg": open_clip.get_model_config(ARCHITECTURE), "preprocess_cfg": {}}
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        save_file(state, str(folder / "open_clip_model.safetensors"))
    return folder.resolve()


MODELS: Final[Mapping[str, Callable[[], Path | str]]] = MappingProxyType(
    {"ViT-B-32": for_open_clip, EMBEDDED: lambda: EMBEDDED}
)
"""What the benchmarks measure, by name: what `models.load` takes."""


def for_transformers() -> Path:
    """A folder that transformers and infinity_emb load: the very weights of `for_open_clip`, renamed."""
    folder = CACHE / "vit-b-32-transformers"
    if not (folder / "preprocessor_config.json").is_file():
        from safetensors.torch import load_file
        from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

        folder.mkdir(parents=True, exist_ok=True)
        exact = {"hidden_act": "gelu"}  # the tag's own default, where OpenAI's weights want quick_gelu
        model = CLIPModel(CLIPConfig(projection_dim=512, text_config=exact, vision_config=exact))
        renamed = renamed_state(load_file(str(for_open_clip() / "open_clip_model.safetensors")))
        left = model.load_state_dict(renamed, strict=False)
        if left.unexpected_keys or any(not key.endswith("position_ids") for key in left.missing_keys):
            raise RuntimeError(f"the weights do not fit: {left}")
        model.save_pretrained(str(folder))
        save_clip_tokenizer(folder)
        CLIPImageProcessor().save_pretrained(str(folder))
    return folder.resolve()


def renamed_state(state: dict[str, Any]) -> dict[str, Any]:
    """open_clip's state of a ViT CLIP as transformers' CLIPModel names it."""
    renamed = {theirs: state[ours] for ours, theirs in _REST.items()}
    renamed |= {theirs: state[ours].T.contiguous() for ours, theirs in _PROJECTIONS.items()}
    for name, tensor in state.items():
        before, _, block = name.partition("transformer.resblocks.")
        if not block:
            continue
        tower = "vision_model" if before == "visual." else "text_model"
        number, _, part = block.partition(".")
        layer = f"{tower}.encoder.layers.{number}"
        if part.startswith("attn.in_proj_"):
            kind = part.removeprefix("attn.in_proj_")
            for letter, third in zip("qkv", tensor.chunk(3), strict=True):
                renamed[f"{layer}.self_attn.{letter}_proj.{kind}"] = third.clone()
        else:
            module, _, kind = part.rpartition(".")
            renamed[f"{layer}.{_BLOCK[module]}.{kind}"] = tensor
    return renamed


def save_clip_tokenizer(folder: Path) -> None:
    """CLIP's byte-pair encoding, from the merges that open_clip ships, as transformers wants it."""
    import gzip

    from open_clip.tokenizer import SimpleTokenizer, default_bpe
    from transformers import CLIPTokenizerFast

    merges = gzip.decompress(Path(default_bpe()).read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    tokens = SimpleTokenizer().encoder
    renamed = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {renamed.get(token, token): i for token, i in tokens.items()}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges))
    CLIPTokenizerFast(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77
    ).save_pretrained(str(folder))
