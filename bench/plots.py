"""Pictures of the figures: every service at every task, and the service's batches beside the bare encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

OWN, OTHERS, LINE = "#2f6f4f", "#b9b4a8", "#c0552d"


def draw(found: dict[str, Any], folder: Path) -> None:
    """PNG files of what was measured."""
    import matplotlib

    matplotlib.use("Agg")
    if "peers" in found:
        peers(found["peers"], folder / "peers.png")
    if "batching" in found:
        batching(found["batching"], folder / "batching.png")


def peers(found: dict[str, Any], file: Path) -> None:
    from matplotlib import pyplot

    tasks, names = found["tasks"], list(found["services"])[::-1]
    figure, axes = pyplot.subplots(1, len(tasks), figsize=(3.4 * len(tasks), 2.6), sharey=True)
    for axis, (key, title) in zip(axes, tasks.items(), strict=True):
        rates = [found["services"][name][key]["per_s"] for name in names]
        bars = axis.barh(names, rates, color=[OWN if name == "Candid" else OTHERS for name in names])
        axis.bar_label(bars, [f"{rate:.3g}" for rate in rates], padding=3, fontsize=8)
        axis.set_title(f"{title}\n{found['ratios'][key]['ratio']:.3g} times the best peer", fontsize=9)
        axis.set_xlim(0, max(rates) * 1.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    figure.supxlabel("answers a second; photographs a second in the last", fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=100)
    pyplot.close(figure)


def batching(found: dict[str, Any], file: Path) -> None:
    from matplotlib import pyplot

    sizes = [int(k.split("_")[1]) for k in found if k.startswith("bare_") and k.endswith("_per_s")]
    figure, axis = pyplot.subplots(figsize=(5, 3))
    axis.plot(
        sizes, [found[f"bare_{size}_per_s"] for size in sizes], "o-", color=OTHERS, label="bare encoder"
    )
    axis.axhline(found["many_per_s"], color=OWN, label=f"{found['clients']} clients, whole service")
    axis.axhline(1e3 / found["alone_p50_ms"], color=LINE, ls="--", label="one client, whole service")
    axis.set(xscale="log", xlabel="pictures in a batch", ylabel="images a second", ylim=(0, None))
    axis.set_xticks(sizes, [str(size) for size in sizes], minor=False)
    axis.minorticks_off()
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(file, dpi=100)
    pyplot.close(figure)
