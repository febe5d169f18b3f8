"""What int8 would be worth on a CPU: why `CANDID_PRECISION` does not offer it.

    pip install nncf            in an environment beside Candid's: it is not in the lock
    python -m bench.int8 ../shared/eval

The tower is an EfficientNet-Lite2 at 260 px with Google's weights and classifier, so that the largest
number of a row is its answer. NNCF quantises its export after training, calibrated on photographs of
Caltech-101; right answers are counted on one photograph of each of ImageNet's classes. Both run in turn on
one thread, in processor seconds, once for each instruction set that oneDNN is limited to. Figures go to
bench/results/int8.json, and from there to docs/operations.md. A ViT-B/32 at random weights shows the speed of
a transformer; what it would lose can only be seen with real weights.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tarfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import machine, quoted, weights
from models.encoders.openvino_runner import compile_settings, rows_only
from models.images.decode import ImageLimits, decode
from models.images.preprocess import Preprocess

RESULTS = Path(__file__).parent / "results" / "int8.json"
PAGE = Path(__file__).parents[1] / "docs" / "operations.md"
SETS = {"AVX2": "AVX2", "AVX512_CORE_VNNI": "AVX-512 with VNNI", "DEFAULT": "all, with AMX"}  # oneDNN's names
WANTED = {"AVX2": 1.5, "AVX512_CORE_VNNI": 2.2}
SMALL = "EfficientNet-Lite2"
CALIBRATION = 300  # pictures
BATCH = 16
ROUNDS = 6

Rows = NDArray[np.float32]


def export(folder: Path) -> Preprocess:
    """The tower as OpenVINO runs it, with the classifier as its projection."""
    import torch

    from models.encoders import openvino_export
    from models.encoders.build import build
    from models.pretrained import files
    from models.training.model import efficientnet_lite, towers
    from models.training.model import export as training_export

    configuration = towers.config(efficientnet_lite.TOWER, efficientnet_lite.SIDE)
    configuration["model_cfg"]["embed_dim"] = efficientnet_lite.CLASSES
    model, known = towers.build(configuration), efficientnet_lite.read(efficientnet_lite.package_file())
    efficientnet_lite.put_into(model.visual.trunk, known)
    with torch.no_grad():
        model.visual.trunk.classifier.weight.copy_(known.rows)
        model.visual.trunk.classifier.bias.copy_(known.bias)
    training_export.write(folder / "tower", model.state_dict(), configuration)
    towers, description, _ = build(files.resolve(str(folder / "tower")), "cpu", "fp32", None)
    openvino_export.write(towers, folder)
    return description.preprocess


def transformer(folder: Path) -> None:
    """A ViT-B/32 as OpenVINO runs it."""
    from models.encoders import openvino_export
    from models.encoders.build import build
    from models.pretrained import files

    folder.mkdir(exist_ok=True)
    towers, _, _ = build(files.resolve(str(weights.for_open_clip())), "cpu", "fp32", None)
    openvino_export.write(towers, folder)


def pictures(archive: Path, preprocess: Preprocess) -> Rows:
    """(B, 3, S, S), in the order of the files' own names."""
    found = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and (file := tar.extractfile(member)):
                found[Path(member.name).name, member.name] = file.read()
    made = [
        preprocess.pixels(decode(data, ImageLimits(), at_least=preprocess.at_least).rgb)
        for _, data in sorted(found.items())
    ]
    return np.stack(made)


def quantise(graph: Path, calibration: Any, made: Path, *, transformer: bool = False) -> None:
    """With NNCF's defaults for the kind of tower."""
    import nncf
    import openvino

    model = rows_only(openvino.Core().read_model(graph))
    dataset = nncf.Dataset([each[None] for each in calibration], lambda batch: [batch])
    kind = nncf.ModelType.TRANSFORMER if transformer else None
    quantised = nncf.quantize(model, dataset, subset_size=len(calibration), model_type=kind)
    openvino.save_model(quantised, made, compress_to_fp16=False)


def request(graph: Path) -> Any:
    import openvino

    settings = {**compile_settings("fp32"), "INFERENCE_NUM_THREADS": 1}
    core = openvino.Core()
    return core.compile_model(rows_only(core.read_model(graph)), "CPU", settings).create_infer_request()


def rows(graph: Path, pixels: Any) -> Rows:
    """(B, D)."""
    runs = request(graph)
    parts = [
        runs.infer([np.ascontiguousarray(pixels[at : at + BATCH])], share_inputs=True)[0].copy()
        for at in range(0, len(pixels), BATCH)
    ]
    return np.concatenate(parts)


def limited(graph: Path, quantised: Path) -> dict[str, Any]:
    """`speeds` with each instruction set, each in a process of its own: oneDNN asks once."""
    found = {}
    for name in SETS:
        command = [sys.executable, "-m", "bench.int8", "--time", str(graph), str(quantised)]
        environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": name}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        found[name] = json.loads(done.stdout)
    return found


def speeds(graphs: list[Path]) -> dict[str, Any]:
    """Processor seconds for a batch, in turn: pictures a second of each, and how much faster the last is."""
    import openvino

    size = openvino.Core().read_model(graphs[0]).inputs[0].get_partial_shape()[2].get_length()
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, 3, size, size), dtype=np.uint8)
    runs = [request(graph) for graph in graphs]
    taken: list[list[float]] = [[] for _ in graphs]
    for turn in range(ROUNDS + 1):
        for index, each in machine.rotated(list(enumerate(runs)), turn):
            began = time.process_time()
            each.infer([pixels], share_inputs=True)
            taken[index].append(time.process_time() - began)
    taken = [each[1:] for each in taken]
    return {
        "float32_per_s": round(BATCH / statistics.median(taken[0]), 1),
        "int8_per_s": round(BATCH / statistics.median(taken[1]), 1),
        "times": round(statistics.median(a / b for a, b in zip(*taken, strict=True)), 2),
    }


def drift(precise: Rows, other: Rows) -> dict[str, float]:
    """Of unit rows whose largest number is the answer; the pictures are in the order of the classes."""
    cosines, right = (precise * other).sum(axis=1), np.arange(len(precise))
    return {
        "float32_top1": round(100 * float((precise.argmax(axis=1) == right).mean()), 1),
        "int8_top1": round(100 * float((other.argmax(axis=1) == right).mean()), 1),
        "lowest_cosine": round(float(cosines.min()), 3),
        "median_cosine": round(float(np.median(cosines)), 3),
    }


def speeds_table(found: dict[str, Any]) -> str:
    """A row a model and a tower."""
    lines = [
        [
            f"{model}, {SETS[name]}",
            f"{of['float32_per_s']:.0f}",
            f"{of['int8_per_s']:.0f}",
            f"{of['times']:.2f}",
            f"{WANTED[name]:g}" if name in WANTED and model == SMALL else "",
        ]
        for model, by_kind in found["speeds"].items()
        for name, of in by_kind.items()
    ]
    return quoted.table(["", "float32", "int8", "times", "wanted"], lines)


def table(found: dict[str, Any]) -> str:
    """What docs/operations.md shows."""
    of = found["drift"]
    lost = of["float32_top1"] - of["int8_top1"]
    return (
        f"{speeds_table(found)}\n"
        f"EfficientNet-Lite2's top-1 on a photograph of each of ImageNet's 1,000 classes falls from "
        f"{of['float32_top1']:.1f} to {of['int8_top1']:.1f} %:\n"
        f"{lost:.1f} points are lost, where 0.7 were allowed; the cosine to float32 is "
        f"{of['lowest_cosine']:.2f} at the lowest, {of['median_cosine']:.3f} in the\nmedian.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "eval", type=Path, nargs="?", help="folder of caltech101.tar.gz and imagenet-1k-one-each.tar.gz"
    )
    parser.add_argument("--time", type=Path, nargs=2, help=argparse.SUPPRESS)  # in a process of its own
    asked = parser.parse_args()
    if asked.time:
        print(json.dumps(speeds(asked.time)))
        return
    folder = weights.CACHE / "int8"
    folder.mkdir(parents=True, exist_ok=True)
    preprocess = export(folder)
    graph, quantised = folder / "images.xml", folder / "int8.xml"
    calibration = np.random.default_rng(0).permutation(pictures(asked.eval / "caltech101.tar.gz", preprocess))
    quantise(graph, calibration[:CALIBRATION], quantised)
    pixels = pictures(asked.eval / "imagenet-1k-one-each.tar.gz", preprocess)
    other = folder / "transformer"
    transformer(other)
    noise = np.random.default_rng(0).integers(0, 256, (8, 3, 224, 224), dtype=np.uint8)
    quantise(other / "images.xml", noise, other / "int8.xml", transformer=True)
    found: dict[str, Any] = {
        "command": "python -m bench.int8 ../shared/eval",
        "machine": machine.describe(),
        "versions": {**machine.versions(), "nncf": metadata.version("nncf")},
        "drift": drift(rows(graph, pixels), rows(quantised, pixels)),
        "speeds": {
            SMALL: limited(graph, quantised),
            "ViT-B/32": limited(other / "images.xml", other / "int8.xml"),
        },
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    PAGE.write_text(quoted.filled(PAGE.read_text("utf-8"), "bench: int8", table(found), PAGE), "utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
