"""The tables of README.md and docs/ that say what was measured: written by `make bench`, never by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

Found = Mapping[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, rule: str = "--:") -> str:
    """Markdown; all but the first column are numbers."""
    lines = [head, ["---", *[rule] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("|  |", "| |")


def peers(found: Found) -> str:
    """Answers a second, and how much faster Candid is than the best of the others."""
    given = found["peers"]
    services, ratios = given["services"], given["ratios"]
    rows = [
        [name, *(f"{figures[key]['per_s']:.3g}" for key in given["tasks"])]
        for name, figures in services.items()
    ]
    rows[0] = [f"**{cell}**" for cell in rows[0]]  # Candid is the first to be started
    best = ["times the best of the others", *(f"{ratios[key]['ratio']:.3g}" for key in given["tasks"])]
    return table(["", *given["tasks"].values()], [*rows, best]) + f"\n{machine(given)}\n"


def encoders(found: Found) -> str:
    """OpenVINO, as times of torch."""
    rows = found["encoders"]["rows"]
    batches = list(dict.fromkeys(row["batch"] for row in rows))
    names = {"openvino": "", "openvino bf16": ", bf16"}
    lines = []
    for key in dict.fromkeys((row["model"], row["tower"], row["engine"]) for row in rows):
        model, tower, engine = key
        of = [row for row in rows if (row["model"], row["tower"], row["engine"]) == key]
        if engine in names:
            kind = f"{model}, {'prompts' if tower == 'texts' else tower}{names[engine]}"
            cosine = min(row["min_cosine"] for row in of)
            lines.append([kind, *(f"{row['ratio']:.1f}" for row in of), f"{cosine:.5f}"])
    head = ["", *(f"batch {batch}" for batch in batches), "lowest cosine to torch"]
    return table(head, lines) + f"\n{machine(found['encoders'])}\n"


def folder(found: Found) -> str:
    """`candid classify`, as times of a bare script and of the forward passes."""
    rows = [
        [
            name,
            f"{given['pictures']:,}",
            f"{given['pictures'] / given['command_s']:.0f}",
            f"{given['ratio_to_decode_and_encode']:.2f}",
            f"{given['ratio_to_encode']:.2f}",
        ]
        for name, given in found["many"]["models"].items()
    ]
    head = ["", "photographs", "a second", "time, by a bare script's", "time, by the forward passes' alone"]
    return table(head, rows) + f"\n{machine(found['many'])}\n"


def machine(given: Found) -> str:
    """What it was measured on, in a line."""
    of = given["machine"]
    return f"Measured on {of['cores']} cores of {of['processor']} ({of['instructions']})."


PLACES: Mapping[str, tuple[str, Callable[[Found], str]]] = {
    "peers": ("README.md", peers),
    "encoders": ("docs/operations.md", encoders),
    "many": ("docs/command-line.md", folder),
}


def quoted(name: str, text: str, found: Found) -> str:
    """A page with the table of the benchmark `name` written anew, between its two comments."""
    page, written = PLACES[name]
    begin, end = f"<!-- bench: {name} -->\n", "<!-- end -->"
    wanted = f"{begin}{written(found)}{end}"
    text, count = re.subn(f"{re.escape(begin)}.*?{end}", lambda _: wanted, text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{page} has {count} places for the table {name!r}")
    return text


def write(found: Found) -> None:
    """All pages whose benchmark has been run."""
    for name, (page, _) in PLACES.items():
        if name in found:
            file = ROOT / page
            file.write_text(quoted(name, file.read_text("utf-8"), found), "utf-8")
