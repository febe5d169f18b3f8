"""The few plots of a report, as SVG written by hand: no plotting library at run time, nothing to load.

Takes numbers, gives text. Colours are classes that the page's style sheet fills in, for light and for dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from models.scoring.calibration import Bin

SIDE: Final = 240  # px of a square plot's inside
LEFT: Final = 44  # px for the numbers beside it
TOP: Final = 6  # px above it, where dots stick out
BAR: Final = 18  # px of a bar's row


def reliability(bins: Sequence[Bin]) -> str:
    """A reliability diagram: accuracy over confidence, and the diagonal on which honest ones lie."""
    most = max((b.count for b in bins), default=0) or 1
    parts = [_axes()]
    for b in bins:
        if not b.count:
            continue
        x, width = LEFT + b.lower * SIDE, (b.upper - b.lower) * SIDE
        height = b.accuracy * SIDE
        tip = f"{b.lower:.0%} to {b.upper:.0%} sure: {b.count} pictures, {b.accuracy:.1%} right"
        parts.append(
            f'<rect class="bar" x="{x + 1:.1f}" y="{SIDE - height:.1f}" width="{width - 2:.1f}"'
            f' height="{max(height, 1):.1f}" opacity="{0.35 + 0.65 * b.count / most:.2f}">'
            f"<title>{escape(tip)}</title></rect>"
        )
        parts.append(
            f'<circle class="dot" cx="{LEFT + b.confidence * SIDE:.1f}" cy="{SIDE - height:.1f}" r="3"/>'
        )
    parts.append(f'<line class="honest" x1="{LEFT}" y1="{SIDE}" x2="{LEFT + SIDE}" y2="0"/>')
    return _svg(LEFT + SIDE + 12, SIDE + 44, "Reliability diagram: accuracy over confidence", parts, top=TOP)


def bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """Horizontal bars: (name, share 0 … 1, what to write behind it)."""
    names, width = 190, 240
    parts = []
    for i, (name, share, text) in enumerate(rows):
        y = i * BAR
        short = name if len(name) <= 28 else name[:27] + "…"
        parts.append(f'<text x="{names - 6}" y="{y + 13}" text-anchor="end">{escape(short)}</text>')
        parts.append(
            f'<rect class="bar" x="{names}" y="{y + 3}" height="{BAR - 6}"'
            f' width="{max(share * width, 1):.1f}">'
            f"<title>{escape(name)}: {escape(text)}</title></rect>"
        )
        parts.append(f'<text x="{names + share * width + 6:.1f}" y="{y + 13}">{escape(text)}</text>')
    return _svg(names + width + 110, max(len(rows), 1) * BAR + 4, "Accuracy by label", parts)


def _axes() -> str:
    parts = [f'<rect class="frame" x="{LEFT}" y="0" width="{SIDE}" height="{SIDE}"/>']
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = LEFT + tick * SIDE, SIDE - tick * SIDE
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y}" x2="{LEFT + SIDE}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{max(y + 4, 10)}" text-anchor="end">{tick:.0%}</text>')
        anchor = "end" if tick == 1 else "middle"
        parts.append(f'<text x="{x}" y="{SIDE + 16}" text-anchor="{anchor}">{tick:.0%}</text>')
    parts.append(f'<text x="{LEFT + SIDE / 2}" y="{SIDE + 36}" text-anchor="middle">how sure</text>')
    return "".join(parts)


def _svg(width: int, height: int, title: str, parts: Sequence[str], *, top: int = 0) -> str:
    return (
        f'<svg viewBox="0 {-top} {width} {height + top}" width="{width}" height="{height + top}" role="img"'
        f' aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )
