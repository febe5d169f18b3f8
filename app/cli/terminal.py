"""What the command line prints: a share as a bar, the catalogue as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.pretrained.catalogue import Row

BAR_WIDTH = 24  # characters
_EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(share: float) -> str:
    """`share` (0 … 1) as a bar of BAR_WIDTH characters, to an eighth of one."""
    eighths = round(share * BAR_WIDTH * 8)
    partial = _EIGHTHS[eighths % 8] if eighths % 8 else ""
    return ("█" * (eighths // 8) + partial).ljust(BAR_WIDTH)


def print_catalogue(rows: Sequence[Row]) -> None:
    """The catalogue, one line a model."""
    table = Table(box=None, header_style="bold", padding=(0, 1))
    table.add_column("model", no_wrap=True)
    table.add_column("ImageNet-1k", justify="right", no_wrap=True)
    table.add_column("params", justify="right", no_wrap=True)
    table.add_column("licence of the weights")
    for row in rows:
        licence = Text(row.licence).append(f"  {row.note}" if row.note else "", style="dim")
        accuracy, parameters = _number(row.imagenet_top1, "{:.1f} %"), _number(row.parameters_m, "{:.0f} M")
        table.add_row(row.name, accuracy, parameters, licence)
    console = Console()
    console.print(table)
    console.print(
        "\nImageNet-1k: zero-shot top-1, as the authors or open_clip state it. "
        "Any other architecture/tag of open_clip loads too.\nStart one with: candid serve --model NAME"
    )


def _number(value: float | None, shape: str) -> str:
    return "–" if value is None else shape.format(value)
