"""A picture of the run for the model card: losses and zero-shot accuracies over pictures seen."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

LOSSES = ("contrastive", "soft", "labels", "kinds", "mentions", "features", "replay")


def read(record: Path) -> list[dict[str, Any]]:
    """The lines of joint.jsonl."""
    return [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]


def draw(lines: list[dict[str, Any]], target: Path) -> None:
    """Write a PNG: losses on the left, accuracies on the right."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for name in LOSSES:
        points = [(line["seen"] / 1000, line[name]) for line in lines if line.get(name)]
        if points:
            left.plot(*zip(*points, strict=True), label=name, linewidth=1)
    left.set(title="losses", xlabel="thousand pictures seen", ylim=(0, None))
    for name in sorted({name for line in lines for name in line if name.startswith("top1 ")}):
        points = [(line["seen"] / 1000, line[name]) for line in lines if name in line]
        right.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name.removeprefix("top1 "))
    hours = max((line["hours"] for line in lines), default=0.0)
    right.set(title=f"zero-shot top-1 ({hours:.1f} h)", xlabel="thousand pictures seen", ylim=(0, 1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend(fontsize=8)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=90, metadata={"Software": None})


def run(chosen: argparse.Namespace) -> None:
    """The `plot` step of the command line."""
    draw(read(chosen.cache / "joint.jsonl"), chosen.out / "training.png")
    print(f"wrote {chosen.out / 'training.png'}")
