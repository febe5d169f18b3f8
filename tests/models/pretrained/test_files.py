"""From names to files: what is found, what is refused, and in which words."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from models.errors import ModelUnavailable, WeightsCorrupt
from models.pretrained import files
from models.pretrained.files import EMBEDDED_DIR, resolve
from tests.hub import Hub

TAG = "MobileCLIP2-S0/dfndr2b"
REPOSITORY = "timm/MobileCLIP2-S0-OpenCLIP"


def test_the_embedded_model_is_simply_there() -> None:
    source = resolve("embedded")
    assert source.name == "embedded"
    assert source.weights.suffix == ".safetensors"


def test_a_tag_comes_from_the_hub_and_then_from_the_cache(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = resolve(TAG, cache_dir=str(tmp_path))
    assert (first.architecture, first.tag) == ("MobileCLIP2-S0", "dfndr2b")
    asked = len(hub.requests)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert resolve(TAG, cache_dir=str(tmp_path)) == first
    assert len(hub.requests) == asked, "the hub was asked although the cache had it and it is offline"


def test_open_clip_is_asked_once_what_a_tag_is(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    first = resolve(TAG, cache_dir=str(tmp_path), tags_dir=kept)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "open_clip", None)  # an import of it raises ImportError
        assert resolve(TAG, cache_dir=str(tmp_path), tags_dir=kept) == first
    [file] = kept.iterdir()
    file.write_text("{")
    assert resolve(TAG, cache_dir=str(tmp_path), tags_dir=kept) == first


def test_a_hub_repository_by_name(hub: Hub, tmp_path: Path) -> None:
    source = resolve(f"hf-hub:{REPOSITORY}", cache_dir=str(tmp_path))
    assert source.model_cfg["embed_dim"] == 512


def test_preprocessing_and_activation_belong_to_the_tag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "any.safetensors"
    weights.write_bytes(b"")
    monkeypatch.setattr(files, "_download", lambda *_: weights)
    openai = resolve("ViT-B-32/openai")
    assert openai.model_cfg["quick_gelu"] is True
    assert openai.preprocess_cfg["resize_mode"] == "shortest"
    siglip = resolve("ViT-B-32-SigLIP2-256/webli")
    assert siglip.model_cfg["quick_gelu"] is False
    assert siglip.preprocess_cfg["resize_mode"] == "squash"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nothing", "neither 'embedded'"),
        ("No-Such-Tower/openai", "no architecture 'No-Such-Tower'"),
        ("ViT-B-32/no_such_tag", "no pretrained tag 'no_such_tag'; it has: openai"),
        (
            "hf-hub:nobody/nothing",
            "'hf-hub:nobody/nothing' cannot be had: open_clip_config.json of nobody/nothing",
        ),
        ("ViT-L-14/openai", "cannot be had: its weights of timm/vit_large_patch14_clip_224.openai"),
    ],
)
def test_what_cannot_be_had_is_said_clearly(hub: Hub, tmp_path: Path, spec: str, words: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        resolve(spec, cache_dir=str(tmp_path))
    assert words in caught.value.message


def test_it_says_where_it_looked_and_what_to_do(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        resolve("ViT-L-14/openai", cache_dir=str(tmp_path))
    assert str(tmp_path) in caught.value.message
    assert hub.url in caught.value.message
    assert "give its path as the model" in caught.value.message


def test_a_pickle_is_never_loaded(hub: Hub, tmp_path: Path) -> None:
    folder = hub.root / "pickles" / "clip"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_pytorch_model.bin").write_bytes(b"\x80\x04")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {}}))
    with pytest.raises(ModelUnavailable, match="never a pickle"):
        resolve("hf-hub:pickles/clip", cache_dir=str(tmp_path))


def test_a_changed_byte_in_a_hub_file_is_refused(hub: Hub, tmp_path: Path) -> None:
    source = resolve(TAG, cache_dir=str(tmp_path))
    flip_a_byte(source.weights)
    with pytest.raises(WeightsCorrupt, match="not the ones promised"):
        resolve(TAG, cache_dir=str(tmp_path))


def test_a_changed_byte_in_a_local_directory_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(EMBEDDED_DIR, folder)
    assert resolve(str(folder)).name == "model"
    flip_a_byte(folder / "open_clip_model.safetensors")
    with pytest.raises(WeightsCorrupt, match="not the ones promised"):
        resolve(str(folder))


def test_a_directory_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": {}}))
    with pytest.raises(ModelUnavailable, match=r"no \.safetensors file"):
        resolve(str(tmp_path))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model_cfg": 3}'])
def test_a_broken_config_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "open_clip_config.json").write_text(text)
    with pytest.raises(ModelUnavailable, match=r"open_clip_config\.json"):
        resolve(str(tmp_path))


def flip_a_byte(path: Path) -> None:
    with path.resolve().open("r+b") as file:
        file.seek(-1, 2)
        byte = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([byte ^ 1]))
