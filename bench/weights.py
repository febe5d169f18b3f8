"""Randomly initialised ViT-B/32 weights in each program's own format. Timing does not depend on values."""

from __future__ import annotations

import json
from pathlib import Path

CACHE = Path(".cache/bench")
ARCHITECTURE = "ViT-B-32"


def for_open_clip() -> Path:
    """A folder that open_clip and Candid load."""
    folder = CACHE / "vit-b-32-open-clip"
    if not (folder / "open_clip_model.safetensors").is_file():
        import open_clip
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        model = open_clip.create_model(ARCHITECTURE, load_weights=False)
        config = {"model_cfg": open_clip.get_model_config(ARCHITECTURE), "preprocess_cfg": {}}
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        save_file(state, str(folder / "open_clip_model.safetensors"))
    return folder.resolve()


def for_transformers() -> Path:
    """A folder that transformers loads: the same shape, its own tokenizer and image processor."""
    folder = CACHE / "vit-b-32-transformers"
    if not (folder / "model.safetensors").is_file():
        from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

        folder.mkdir(parents=True, exist_ok=True)
        CLIPModel(CLIPConfig(projection_dim=512)).save_pretrained(str(folder))
        CLIPImageProcessor().save_pretrained(str(folder))
        save_clip_tokenizer(folder)
    return folder.resolve()


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
