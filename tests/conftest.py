"""Fixtures that every wing's tests share: a hub on loopback, the embedded model, real photographs."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import fork_server
from tests.hub import Hub, random_model
from tests.server import Server

TESTS = Path(__file__).resolve().parent
SHARED = TESTS.parents[1] / "shared"

_HUB: pytest.StashKey[Hub] = pytest.StashKey()
_TMP: pytest.StashKey[tempfile.TemporaryDirectory[str]] = pytest.StashKey()

# What starts a server, a command or a browser, builds a model or imports torch: `make check` leaves out what
# uses one of these fixtures or is in one of these places. A single test is marked where it stands.
SLOW_FIXTURES = {"server", "candid", "browser", "classifier", "hub", "model"}
SLOW_PLACES = (
    "app/http/test_cost.py",
    "app/storage/test_locked.py",
    "app/storage/test_postgres.py",
    "app/cli/test_embed.py",
    "app/cli/test_main.py",
    "app/http/test_attacks.py",
    "app/http/test_origins.py",
    "app/http/test_server.py",
    "app/routes/label_sets/test_label_sets.py",
    "app/schemas/test_openapi.py",
    "models/encoders/",
    "models/images/test_preprocess.py",
    "models/pretrained/test_bpe.py",
    "models/pretrained/test_catalogue.py",
    "models/test_classifier.py",
    "models/test_embedded.py",
    "models/test_loading.py",
    "models/test_parity.py",
    "models/training/",
    "test_bench_gpu.py",
)

# A file is one process's, so those that take longest begin first.
LONGEST_FIRST = (
    "models/test_parity.py",
    "app/web/test_docs_page.py",
    "test_better_answers.py",
    "app/http/test_cost.py",
    "app/http/test_attacks.py",
    "test_bench_gpu.py",
    "app/workers/",
    "app/web/test_page.py",
    "models/training/loop/test_train.py",
    "app/http/test_server.py",
    "models/encoders/test_openvino_runner.py",
    "app/web/",
    "app/tracing/",
    "app/cli/",
    "app/storage/",
    "models/test_loading.py",
)

# open_clip's names of the repositories, and the architecture that each holds.
REPOSITORIES = {
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": "ViT-B-32",
    "timm/ViT-B-32-SigLIP2-256": "ViT-B-32-SigLIP2-256",
    "timm/MobileCLIP2-S0-OpenCLIP": "MobileCLIP2-S0",
}


def pytest_configure(config: pytest.Config) -> None:
    # huggingface_hub reads these when it is imported, so they must stand before any test module is.
    tmp = tempfile.TemporaryDirectory(prefix="candid-hub-")
    hub = Hub(Path(tmp.name) / "repositories")
    for repository, architecture in REPOSITORIES.items():
        hub.recipes[repository] = random_model(architecture)
    config.stash[_HUB], config.stash[_TMP] = hub, tmp
    os.environ |= {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(Path(tmp.name) / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        # Nothing of the user's own is read or written by the tests.
        "XDG_CACHE_HOME": str(Path(tmp.name) / "cache"),
        "XDG_DATA_HOME": str(Path(tmp.name) / "data"),
    }
    # A developer's own settings must not decide whether the tests pass.
    for name in [name for name in os.environ if name.startswith("CANDID_")]:
        del os.environ[name]
    # Beside other tests' processes more threads than cores would wait for each other, spinning.
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["CANDID_WARM_VOCABULARIES"] = "false"  # seconds for each service; one test has it on


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make check` does not even import what it leaves out: that takes longer than its tests."""
    if config.getoption("markexpr") != "not slow" or not collection_path.is_relative_to(TESTS):
        return None
    return f"{collection_path.relative_to(TESTS).as_posix()}/".startswith(SLOW_PLACES) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {item: item.path.relative_to(TESTS).as_posix() for item in items}

    def turn(item: pytest.Item) -> int:
        found = (turn for turn, long in enumerate(LONGEST_FIRST) if places[item].startswith(long))
        return next(found, len(LONGEST_FIRST))

    items.sort(key=turn)
    for item, place in places.items():
        if place.startswith(SLOW_PLACES) or SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # what is imported by now stays: whoever looks for garbage need not walk through it
    gc.set_threshold(10_000)


def pytest_unconfigure(config: pytest.Config) -> None:
    gc.unfreeze()
    fork_server.close()
    config.stash[_HUB].close()
    config.stash[_TMP].cleanup()


@pytest.fixture(scope="session")
def hub(request: pytest.FixtureRequest) -> Hub:
    """The loopback hub that `HF_ENDPOINT` names during the tests."""
    return request.config.stash[_HUB]


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Classifier"]:  # noqa: F821, UP037
    """The embedded model as it is served, loaded once."""
    import models

    exports = tmp_path_factory.mktemp("exports")  # for where the installation has none
    loaded = models.load("embedded", models.LoadOptions(encoder_dir=exports))
    yield loaded
    loaded.close()


@pytest.fixture(scope="session")
def photographs() -> dict[str, bytes]:
    """Real photographs of scikit-image's package as JPEG files, by what they show."""
    import io

    import skimage.data
    from PIL import Image

    pictures = {
        "cat": skimage.data.cat(),
        "coffee cup": skimage.data.coffee(),
        "astronaut": skimage.data.astronaut(),
        "rocket": skimage.data.rocket(),
    }
    files = {}
    for name, pixels in pictures.items():
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
        files[name] = buffer.getvalue()
    return files


@pytest.fixture(scope="session")
def candid() -> Path:
    """The `candid` command with its imports done; at least one test a command runs the installed program."""
    return fork_server.program()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, candid: Path) -> Iterator[Server]:
    """`candid serve` with the embedded model, in a process of its own, for all tests that only ask."""
    started = Server(tmp_path_factory.mktemp("server"), candid)
    try:
        started.wait_until_ready()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of labelled photographs beside the checkout; tests that need it are skipped without it."""
    if not (SHARED / "eval").is_dir():
        pytest.skip("needs ../shared, which this machine does not have")
    return SHARED
