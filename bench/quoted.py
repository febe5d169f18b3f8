"""The tables of README.md and docs/ that say what was measured: written by `make bench`, never by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

Found = Mapping[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int | None = None) -> str:
    """Markdown; the last `numbers` columns are set to the right, without a number all but the first."""
    numbers = len(head) - 1 if numbers is None else numbers
    rule = ["---"] * (len(head) - numbers) + ["--:"] * numbers
    return "".join(f"| {' | '.join(line)} |\n".replace("|  ", "| ") for line in (head, rule, *rows))


def filled(text: str, begin: str, content: str, page: Path) -> str:
    """A page whose one place between the comments `begin` and `end` holds `content`."""
    begin, end = f"<!-- {begin} -->\n", "<!-- end -->"
    place = f"{re.escape(begin)}.*?{end}"
    text, count = re.subn(place, lambda _: f"{begin}{content}{end}", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{page} has {count} places for {begin.strip()}")
    return text


def peers(given: Found) -> str:
    """Answers a second, cold start, memory, and how much better Candid is than the best of the others."""
    services, ratios = given["services"], given["ratios"]
    rows = [
        [name, *(f"{figures[key]['per_s']:.3g}" for key in given["tasks"]), *cold(figures)]
        for name, figures in services.items()
    ]
    rows[0] = [f"**{cell}**" for cell in rows[0]]  # Candid is the first to be started
    best = ["times the best of the others", *(f"{ratios[key]['ratio']:.3g}" for key in given["tasks"])]
    own, *others = services.values()
    for key in ("first_answer_s", "resident_mib"):
        best.append(f"{min(other[key] for other in others) / own[key]:.3g}")
    return table(["", *given["tasks"].values(), *COLD], [*rows, best])


COLD = ("s from start to first answer", "MiB resident after it")


def cold(figures: Found) -> list[str]:
    """COLD's cells of one service."""
    return [f"{figures['first_answer_s']:.3g}", f"{figures['resident_mib']:,}"]


def encoders(given: Found) -> str:
    """OpenVINO, as times of torch."""
    rows = given["rows"]
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
    return table(head, lines)


def folder(given: Found) -> str:
    """`candid classify`, as times of a bare script and of the forward passes."""
    rows = [
        [
            name,
            f"{figures['pictures']:,}",
            f"{figures['pictures'] / figures['command_s']:.0f}",
            f"{figures['ratio_to_decode_and_encode']:.2f}",
            f"{figures['ratio_to_encode']:.2f}",
        ]
        for name, figures in given["models"].items()
    ]
    head = ["", "photographs", "a second", "time, by a bare script's", "time, by the forward passes' alone"]
    return table(head, rows)


def cores(given: Found) -> str:
    """What it was measured on, in words."""
    of = given["machine"]
    return f"{of['cores']} cores of {of['processor']} ({of['instructions']})"


PLACES: Mapping[str, tuple[str, Callable[[Found], str]]] = {
    "peers": ("README.md", peers),
    "encoders": ("docs/operations.md", encoders),
    "many": ("docs/command-line.md", folder),
}


def quoted(name: str, text: str, found: Found) -> str:
    """A page with the table of the benchmark `name` written anew, between its two comments."""
    page, written = PLACES[name]
    content = f"{written(found[name])}\nMeasured on {cores(found[name])}.\n"
    return filled(text, f"bench: {name}", content, Path(page))


def write(found: Found) -> None:
    """All pages whose benchmark has been run."""
    for name, (page, _) in PLACES.items():
        if name in found:
            file = ROOT / page
            file.write_text(quoted(name, file.read_text("utf-8"), found), "utf-8")
