"""OpenVINO gives torch's answers, exports once, and distrusts what it finds."""

import gc
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import models
from models.classifier import Classifier
from models.encoders import choose as chooser
from models.encoders import openvino_export
from models.errors import ModelUnavailable
from models.loading import LoadOptions
from tests.small import small_model

TEXTS = ["cat", "a photo of a very small dog on the beach", "x" * 400, "red, green; blue!"]

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def options(exports: Path) -> LoadOptions:
    return LoadOptions(device="cpu", encoder_dir=exports)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture
def load(options: LoadOptions) -> Iterator:
    loaded: list[Classifier] = []

    def one(spec: object, **changes: object) -> Classifier:
        loaded.append(models.load(str(spec), replace(options, **changes)))
        return loaded[-1]

    yield one
    for classifier in loaded:
        classifier.close()


def vectors(classifier: Classifier, photographs: dict[str, bytes]) -> np.ndarray:
    """Pictures alone and together, texts of any length."""
    alone = classifier.embed_image(photographs["cat"]).result().vector
    together = [classifier.embed_image(data) for data in photographs.values()]
    texts = [classifier.embed_texts(TEXTS).result(), classifier.embed_texts(["one more"]).result()]
    return np.concatenate([alone[None], [each.result().vector for each in together], *texts])


def test_the_same_answers_as_torch(load, photographs: dict[str, bytes]) -> None:
    """The embedded model: convolutions, a trimmed text tower."""
    ours, torchs = load("embedded"), load("embedded", encoder="torch")
    assert (ours.info.encoder, torchs.info.encoder) == ("openvino", "torch")
    np.testing.assert_allclose(vectors(ours, photographs), vectors(torchs, photographs), atol=1e-5)


def test_a_text_tower_that_is_run_whole_too(tmp_path: Path, load, photographs: dict[str, bytes]) -> None:
    """As SigLIP's: no causal mask, read at its last position."""
    spec = small_model(tmp_path / "whole", sigmoid=True, no_causal_mask=True, pool_type="last")
    ours, torchs = load(spec, encoder="openvino"), load(spec, encoder="torch")
    np.testing.assert_allclose(vectors(ours, photographs), vectors(torchs, photographs), atol=1e-5)


def test_half_precision_is_close_and_needs_no_second_export(
    load, exports: Path, photographs: dict[str, bytes]
) -> None:
    single = vectors(load("embedded"), photographs)
    kept = set(exports.iterdir())
    try:
        half = load("embedded", precision="bf16", encoder="openvino")
    except ModelUnavailable as error:
        assert "not in bf16" in error.message
        pytest.skip("this CPU does not compute in bf16")
    assert half.info.precision == "bf16"
    cosine = (vectors(half, photographs) * single).sum(axis=1)
    assert 0.99 < cosine.min() < 0.9999999
    assert set(exports.iterdir()) == kept


def test_it_is_exported_once_and_again_when_damaged(
    small: Path, load, exports: Path, caplog: pytest.LogCaptureFixture, photographs: dict[str, bytes]
) -> None:
    caplog.set_level(logging.INFO, logger="models")

    def exported() -> int:
        return sum("exported for OpenVINO" in message for message in caplog.messages)

    before = set(exports.iterdir())
    first = vectors(load(small), photographs)
    load(small)
    assert exported() == 1
    (folder,) = set(exports.iterdir()) - before
    weights = folder / "images.bin"
    damaged = bytearray(weights.read_bytes())
    damaged[len(damaged) // 2] ^= 0x55
    weights.unlink()  # the loaded ones still read the old file
    weights.write_bytes(damaged)
    assert np.array_equal(vectors(load(small), photographs), first)
    assert exported() == 2


def test_an_export_that_answers_otherwise_is_refused(
    small: Path, tmp_path: Path, load, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The tower that is traced is another one than torch runs."""
    honest = openvino_export._export

    def forged(tower, example, shapes, path) -> None:
        if path.name == openvino_export.IMAGES:
            tower.places.image.normalise.mean.add_(0.5)
        honest(tower, example, shapes, path)
        if path.name == openvino_export.IMAGES:
            tower.places.image.normalise.mean.sub_(0.5)

    monkeypatch.setattr(openvino_export, "_export", forged)
    with pytest.raises(ModelUnavailable, match="are not torch's"):
        load(small, encoder="openvino", encoder_dir=tmp_path)
    assert load(small, encoder_dir=tmp_path).info.encoder == "torch"
    assert "torch runs it" in caplog.text
    assert list(tmp_path.iterdir()) == [], "a refused export is not kept"


def test_where_nothing_can_be_written_torch_runs(
    small: Path, tmp_path: Path, load, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "file"
    file.touch()
    classifier = load(small, encoder_dir=file / "exports")
    assert classifier.info.encoder == "torch"
    assert "torch runs it" in caplog.text
    with pytest.raises(ModelUnavailable, match="OpenVINO cannot run model 'small'"):
        load(small, encoder_dir=file / "exports", encoder="openvino")


def test_who_wants_it_and_cannot_have_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(
        wanted: str, device: str = "cpu", precision: str = "fp32", exports: Path | None = tmp_path
    ) -> str:
        return chooser.choose(wanted, device=device, precision=precision, exports=exports)

    assert (choose("auto"), choose("torch"), choose("openvino")) == ("openvino", "torch", "openvino")
    for impossible in ({"device": "cuda"}, {"precision": "fp16"}, {"exports": None}):
        assert choose("auto", **impossible) == "torch"
        with pytest.raises(ModelUnavailable, match="encoder 'openvino' was asked for, but"):
            choose("openvino", **impossible)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert choose("auto") == "torch"
    with pytest.raises(ModelUnavailable, match=r"pip install 'candid\[openvino\]'"):
        choose("openvino")


def test_a_towers_weights_are_let_go(small: Path, load) -> None:
    """OpenVINO has its own: the service does not hold them twice."""

    def held() -> int:
        gc.collect()
        return sum(type(each).__name__ == "CLIP" for each in gc.get_objects())

    before = held()
    load(small, encoder="openvino")
    assert held() == before
    load(small, encoder="torch")
    assert held() == before + 1


def test_nobody_is_told_that_openvino_was_imported() -> None:
    script = (
        "import sys, models.encoders.openvino_runner, openvino.tools.ovc.telemetry_utils as used; "
        "print(used.tm.__name__, [name for name in sys.modules if name.startswith('openvino_telemetry.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split(maxsplit=1) == ["openvino.tools.ovc.telemetry_stub", "[]\n"]
