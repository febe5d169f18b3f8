"""From the settings to loaded models: with the command line, alone in building them.

`python -m app.model_loading` loads them once: what OpenVINO makes of them is there from then on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.settings import Settings
from models.errors import ModelUnavailable

if TYPE_CHECKING:
    from models import LoadOptions
    from models.classifier import Classifier
    from models.encoders.encoder import Runner
    from models.loading import Described


def load_all(settings: Settings) -> dict[str, Classifier]:
    """Load every model that the settings name. Raises ModelUnavailable when one cannot be had."""
    from models import load

    options = load_options(settings)
    return by_name(settings, (load(spec, options) for spec in settings.specs))


def by_name(settings: Settings, classifiers: Iterable[Classifier]) -> dict[str, Classifier]:
    """Those of the settings' models, in their order. Raises ModelUnavailable when two have one name."""
    loaded: dict[str, Classifier] = {}
    for spec, classifier in zip(settings.specs, classifiers, strict=True):
        name = classifier.info.name
        if name in loaded:  # two directories whose last parts are equal
            raise ModelUnavailable(
                f"model {spec!r} would be called {name!r}, like another one that is loaded: requests could "
                "not tell them apart; rename one of the directories"
            )
        loaded[name] = classifier
    return loaded


def load_runner(settings: Settings, spec: str) -> tuple[Described, Runner]:
    """What runs the towers of one model, for a process that answers no requests. Raises ModelUnavailable."""
    from models import loading

    return loading.load_runner(spec, load_options(settings))


def classifier_around(
    settings: Settings, described: Described, runner: Runner, *, keeps_texts: bool = False
) -> Classifier:
    """The classifier of a process whose towers are elsewhere; whether it keeps texts on disk."""
    from models import loading

    serving = load_options(settings).serving
    if not keeps_texts:
        serving = replace(serving, text_store_dir=None)
    return loading.classifier_around(described, runner, serving)


def kept_in(chosen: str | None, default: str) -> Path:
    """The directory that a setting names, or the default one where the user's programs keep what can be made
    again."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    cache = Path(base) if base else Path.home() / ".cache"
    return Path(chosen) if chosen else cache / "candid" / default


def load_options(settings: Settings) -> LoadOptions:
    """The settings as the CLIP wing wants them."""
    from models import LoadOptions
    from models.classifier import ServingOptions
    from models.images.decode import ImageLimits

    serving = ServingOptions(
        limits=ImageLimits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_pixels),
        exact_decode=settings.exact_decode,
        decode_threads=settings.decode_threads,
        max_batch=settings.max_batch,
        max_queue=settings.max_queue,
        text_cache_bytes=settings.text_cache_bytes,
        text_store_dir=kept_in(settings.text_store_dir, "texts"),
        image_cache_bytes=settings.image_cache_bytes,
    )
    return LoadOptions(
        device=settings.device,
        precision=settings.precision,
        cache_dir=settings.cache_dir,
        encoder=settings.encoder,
        encoder_dir=kept_in(settings.encoder_dir, "encoders"),
        serving=serving,
    )


def main() -> None:
    """Load the models that the settings name, so that their exports are kept, and say where they run."""
    settings = Settings()
    for name, classifier in load_all(settings).items():
        place = load_options(settings).encoder_dir if classifier.info.encoder == "openvino" else "no export"
        sys.stdout.write(f"{name}: {classifier.info.encoder}, {place}\n")
        classifier.close()


if __name__ == "__main__":
    main()
