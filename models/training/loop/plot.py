"""A picture of the run for the model card: losses and zero-shot accuracies over hours."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from models.training.loop.phases import PHASES
from models.training.loop.train import RECORD


def read(record: Path) -> list[dict[str, Any]]:
    """The record's lines, each phase's hours added to those of the phases before it."""
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    before = 0.0
    found = []
    for name in PHASES:
        of_phase = [line for line in lines if line["phase"] == name]
        found += [{**line, "hours": before + line["hours"]} for line in of_phase]
        before = max((line["hours"] for line in found), default=before)
    return found


def draw(lines: list[dict[str, Any]], target: Path) -> None:
    """Write a PNG: losses on the left, accuracies on the right."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    losses = list(dict.fromkeys(name for phase in PHASES.values() for name in phase.weights))
    top1 = sorted({name for line in lines for name in line if name.startswith("top1 ")})
    for axes, names in ((left, losses), (right, top1)):
        for name in names:
            points = [(line["hours"], line[name]) for line in lines if name in line]
            if points:
                axes.plot(*zip(*points, strict=True), label=name.removeprefix("top1 "), linewidth=1)
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend(fontsize=8)
    left.set(title="losses", xlabel="hours", ylim=(0, None))
    right.set(title="zero-shot top-1", xlabel="hours", ylim=(0, 1))
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=90, metadata={"Software": None})


def run(chosen: argparse.Namespace) -> None:
    """The `plot` step of the command line."""
    draw(read(chosen.cache / RECORD), chosen.out / "training.png")
    print(f"wrote {chosen.out / 'training.png'}")
