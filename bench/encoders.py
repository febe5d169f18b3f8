"""Ways to run the towers on a CPU, in turn, in one run: `python -m bench.encoders --rounds 7`.

For ViT-B/32 (random weights: time does not depend on values) and the embedded model, batches of 1, 8, 16 and
32 pictures, and of prompts of short labels. Every engine gets each batch once a round; the median of the
rounds counts, and the ratio is the median of each round's ratio to torch. The cosine is the lowest to
torch's answers. Who begins a round changes. Figures go to bench/results/encoders.json, .md and .png.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench import bare, engines, machine, weights
from bench.machine import rotated
from bench.weights import MODELS
from models.encoders import openvino_runner
from models.encoders.build import build
from models.encoders.encoder import Runner
from models.encoders.towers import Towers
from models.pretrained import files
from models.pretrained.tokenizer import Tokens
from models.scoring import out_of_set

RESULTS = Path(__file__).parent / "results" / "encoders.json"
BATCHES = (1, 8, 16, 32)
MIN_ROUNDS, CASE_S = 3, 18.0
REST_S = 0.05  # the threads of the engine before spin for a while after their work


@dataclass(slots=True)
class Case:
    """One tower, one batch: what each engine took, round for round."""

    model: str
    tower: str
    batch: int
    run: Callable[[Runner], NDArray[np.float32]]
    seconds: dict[str, list[float]] = field(default_factory=dict)
    cosine: dict[str, float] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        base = self.seconds["torch"]
        return [
            {
                "model": self.model,
                "tower": self.tower,
                "batch": self.batch,
                "engine": engine,
                "per_second": round(self.batch / statistics.median(taken), 1),
                "ms": round(1e3 * statistics.median(taken), 2),
                "ratio": round(statistics.median(b / t for b, t in zip(base, taken, strict=True)), 2),
                "min_cosine": round(self.cosine[engine], 6),
            }
            for engine, taken in self.seconds.items()
        ]


def load(name: str) -> tuple[Path, Callable[[str], Towers], Callable[[int], NDArray[Any]]]:
    """Where engines keep what they make of the weights, what builds the towers, and a count's ids (N, L)."""
    source = files.resolve(str(MODELS[name]()))
    towers, _, tokenizer = build(source, "cpu", "fp32", None)
    tokens = Tokens(tokenizer, towers.context_length)
    made_from = f"{name}-{source.sha256[:16]}-{torch.__version__}-{openvino_runner.EXPORT_VERSION}"
    folder = weights.CACHE / "engines" / made_from
    return (
        folder,
        partial(bare.towers, source),
        lambda count: tokens.encode([f"a photo of a {noun}." for noun in out_of_set.nouns()[:count]]),
    )


def cases(model: str, towers: Towers, encode: Callable[[int], NDArray[Any]]) -> list[Case]:
    random = np.random.default_rng(0)
    height, width = towers.image_size
    found = []
    for batch in BATCHES:
        pixels = random.integers(0, 256, (batch, 3, height, width), dtype=np.uint8)
        found.append(Case(model, "pictures", batch, lambda runner, pixels=pixels: runner.images(pixels)))
    for batch in BATCHES:
        ids = encode(batch)  # (N, L)
        end = towers.end_of_text(ids) if towers.end_of_text else None
        if end is not None:
            ids = ids[:, : int(end.max()) + 1]
        found.append(Case(model, "texts", batch, lambda runner, ids=ids, end=end: runner.texts(ids, end)))
    return found


def measure(case: Case, runners: dict[str, Runner], rounds: int) -> None:
    """All engines in turn, `rounds` times, after one that is not counted. Long cases get fewer rounds."""
    began = time.monotonic()
    reference = case.run(runners["torch"])
    for engine, runner in runners.items():
        case.cosine[engine] = float((case.run(runner) * reference).sum(axis=1).min())
        case.seconds[engine] = []
    for done in range(rounds):
        if done >= MIN_ROUNDS and time.monotonic() - began > CASE_S:
            break
        for engine, runner in rotated(list(runners.items()), done):
            time.sleep(REST_S)
            started = time.perf_counter()
            case.run(runner)
            case.seconds[engine].append(time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--models", nargs="*", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--quiet", help="a command, called with `begin` and `end` around what is timed")
    asked = parser.parse_args()
    rows, left_out = [], {}
    for name in asked.models:
        folder, make, encode = load(name)
        built = dict(engines.build(make, folder))
        left_out |= {engine: why for engine, why in built.items() if isinstance(why, str)}
        runners = {engine: runner for engine, runner in built.items() if not isinstance(runner, str)}
        found = cases(name, make("fp32"), encode)
        for case in found:  # what compiles at first sight does so before the quiet begins
            measure(case, runners, 1)
        with machine.quiet(asked.quiet):
            for case in found:
                measure(case, runners, asked.rounds)
        rows += [row for case in found for row in case.rows()]
        print(table(rows[-len(found) * len(runners) :]), file=sys.stderr)
    result = {
        "command": f"python -m bench.encoders --rounds {asked.rounds}",
        "machine": machine.describe(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "versions": machine.versions(),
        "left_out": left_out,
        "rows": rows,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    RESULTS.with_suffix(".md").write_text(
        f"# Encoders on a CPU\n\n`{result['command']}`\n\n{table(rows)}", "utf-8"
    )
    plot(rows)


def table(rows: list[dict[str, Any]]) -> str:
    """A line a model, tower and engine; a column a batch: a second, and times as fast as torch."""
    batches = list(dict.fromkeys(row["batch"] for row in rows))
    lines = [
        "| model | tower | engine | " + " | ".join(f"batch {b}: /s | ratio" for b in batches) + " | cosine |",
        "| --- | --- | --- |" + " --: | --: |" * len(batches) + " --: |",
    ]
    for key in dict.fromkeys((row["model"], row["tower"], row["engine"]) for row in rows):
        of = [row for row in rows if (row["model"], row["tower"], row["engine"]) == key]
        cells = [f"{row['per_second']:.1f} | {row['ratio']:.2f}" for row in of]
        lines.append(f"| {' | '.join((*key, *cells))} | {min(row['min_cosine'] for row in of):.6f} |")
    return "\n".join(lines) + "\n"


def plot(rows: list[dict[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    parts = list(dict.fromkeys((row["model"], row["tower"]) for row in rows))
    batches = list(dict.fromkeys(row["batch"] for row in rows))
    engine_names = list(dict.fromkeys(row["engine"] for row in rows))
    figure, axes = pyplot.subplots(1, len(parts), figsize=(5 * len(parts), 4), squeeze=False)
    for axis, (model, tower) in zip(axes[0], parts, strict=True):
        for i, engine in enumerate(engine_names):
            of = [r for r in rows if (r["model"], r["tower"], r["engine"]) == (model, tower, engine)]
            places = [j + (i - len(engine_names) / 2) * 0.8 / len(engine_names) for j in range(len(of))]
            axis.bar(places, [row["ratio"] for row in of], 0.8 / len(engine_names), label=engine)
        axis.axhline(1, color="grey", linewidth=0.8)
        axis.set(title=f"{model}, {tower}", ylabel="times as fast as torch, eager")
        axis.set_xticks(range(len(batches)), [f"batch {batch}" for batch in batches])
    axes[0][-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(RESULTS.with_suffix(".png"), dpi=100)


if __name__ == "__main__":
    main()
