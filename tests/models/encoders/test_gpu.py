"""The towers on an NVIDIA GPU: half precision, recorded graphs, two workers, too little memory.

`python -m bench.gpu` runs these first; on a machine without a GPU they are skipped.
"""

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import models
from models.classifier import Classifier, ServingOptions
from models.encoders.build import build
from models.encoders.cuda_runner import CudaRunner
from models.errors import EncoderFailed
from models.pretrained import files
from tests.small import small_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU, and torch finds none"),
]

TEXTS = ["a cat", "a photo of two red cups on a table", "rocket"]
MAX_DRIFT = 0.002  # of cosine, in half precision
MAX_BATCH = 16


def load(spec: str, device: str, precision: str = "auto") -> Classifier:
    serving = ServingOptions(max_batch=MAX_BATCH, image_cache_bytes=0, text_cache_bytes=0, fill_batches=True)
    options = models.LoadOptions(device=device, precision=precision, encoder="torch", serving=serving)
    return models.load(spec, options)


def pictures(count: int) -> list[bytes]:
    found = []
    for seed in range(count):
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).resize((80, 80)).save(buffer, "PNG")
        found.append(buffer.getvalue())
    return found


def rows(classifier: Classifier, images: list[bytes]) -> np.ndarray:
    """(B, D)."""
    futures = [classifier.embed_image(data) for data in images]
    return np.stack([each.result(timeout=60).vector for each in futures])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("gpu") / "small")


@pytest.fixture
def on_gpu(folder: Path) -> Iterator[Classifier]:
    loaded = load(str(folder), "cuda")
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def runners(folder: Path) -> tuple[CudaRunner, CudaRunner]:
    """Recorded, and as it is."""
    towers = build(files.resolve(str(folder)), "cuda", "fp16", None)[0]
    return CudaRunner(towers, max_batch=MAX_BATCH), CudaRunner(towers, max_batch=MAX_BATCH, records=False)


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
@pytest.mark.parametrize("name", ["embedded", "small"])
def test_its_vectors_are_the_cpus(
    name: str, precision: str, folder: Path, photographs: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    spec = name if name == "embedded" else str(folder)
    images = list(photographs.values())
    cpu, gpu = load(spec, "cpu"), load(spec, "cuda", precision)
    try:
        for ours, theirs in (
            (rows(gpu, images), rows(cpu, images)),
            (gpu.embed_texts(TEXTS).result(), cpu.embed_texts(TEXTS).result()),
        ):
            assert ours.dtype == np.float32
            assert (ours * theirs).sum(axis=1).min() > 1 - MAX_DRIFT
        assert gpu.info.precision == ("fp16" if precision == "auto" else precision)
    finally:
        cpu.close()
        gpu.close()
    assert "no CUDA graphs" not in caplog.text


def test_a_batch_of_any_size_is_answered_as_without_graphs(runners: tuple[CudaRunner, CudaRunner]) -> None:
    recorded, plain = runners
    pixels = np.random.default_rng(0).integers(0, 256, (MAX_BATCH + 3, 3, 64, 64), dtype=np.uint8)
    for count in (MAX_BATCH + 3, *range(MAX_BATCH, 0, -1), 5, MAX_BATCH):
        ours, theirs = recorded.images(pixels[:count]), plain.images(pixels[:count])
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_callers_at_once_get_their_own_vectors(runners: tuple[CudaRunner, CudaRunner]) -> None:
    recorded, _ = runners
    batches = np.random.default_rng(1).integers(0, 256, (8, 5, 3, 64, 64), dtype=np.uint8)
    alone = [recorded.images(batch) for batch in batches]
    wrong: list[int] = []

    def call(index: int) -> None:
        for _ in range(50):
            if not np.allclose(recorded.images(batches[index]), alone[index], atol=2e-3):
                wrong.append(index)

    threads = [threading.Thread(target=call, args=(index,)) for index in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_answer_holds_no_pinned_memory(runners: tuple[CudaRunner, CudaRunner]) -> None:
    answer = runners[0].images(np.zeros((2, 3, 64, 64), dtype=np.uint8))
    assert answer.base is None
    assert not torch.from_numpy(answer).is_pinned()


def test_a_model_is_recorded_while_another_works(on_gpu: Classifier, folder: Path) -> None:
    images, over, failed = pictures(MAX_BATCH), threading.Event(), []

    def work() -> None:
        while not over.is_set():
            try:
                rows(on_gpu, images)
            except Exception as error:
                failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        beside = load(str(folder), "cuda:0")
        found = rows(beside, images)
        beside.close()
    finally:
        over.set()
        thread.join()
    assert failed == []
    np.testing.assert_allclose(found, rows(on_gpu, images), atol=2e-3)


def test_too_little_memory_harms_no_later_picture(on_gpu: Classifier) -> None:
    images = pictures(4 * MAX_BATCH)
    before = rows(on_gpu, images)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    # No new block fits: what is answered finds room in those that are held.
    torch.cuda.set_per_process_memory_fraction(torch.cuda.memory_reserved() / total)
    try:
        during = [on_gpu.embed_image(data) for data in images]
        errors = [each.exception(timeout=60) for each in during]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    after = rows(on_gpu, images)
    np.testing.assert_allclose(after, before, atol=2e-3)
    assert on_gpu.ready()
    assert {type(each) for each in errors} <= {type(None), EncoderFailed}
