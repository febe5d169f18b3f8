"""An evaluation as one self-contained HTML page: tables, plots as SVG, the surest mistakes as pictures.

The page loads nothing and runs nothing (its own policy forbids it). Names of files and labels are other
people's text and are escaped. Knows no model.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from models.evaluation import svg
from models.evaluation.evaluate import Evaluation

WORST_LABELS: Final = 25
WORST_CONFUSIONS: Final = 15
NAMED_UNREADABLE: Final = 50

_STYLE: Final = """
:root { color-scheme: light dark;
  --ink: #1c2530; --soft: #5b6876; --line: #d8dee5; --page: #fff; --bar: #2f6f9f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebf0; --soft: #9aa7b4; --line: #36404b; --page: #14181d; --bar: #6fb1de; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
table { border-collapse: collapse; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; }
th { color: var(--soft); font-weight: 500; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
tr + tr td { border-top: 1px solid var(--line); } .scroll { overflow-x: auto; }
.columns { display: flex; flex-wrap: wrap; gap: 2rem; } .soft { color: var(--soft); }
.pictures { display: grid; gap: 1rem; padding: 0;
  grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); }
.pictures li { list-style: none; overflow-wrap: anywhere; font-size: .85rem; }
.pictures img { width: 100%; height: 8rem; object-fit: contain; background: var(--line); border-radius: 4px; }
svg { max-width: 100%; height: auto; } svg text { font-size: 11px; fill: var(--soft); }
.bar { fill: var(--bar); } .dot { fill: var(--ink); } .frame { fill: none; stroke: var(--line); }
.grid { stroke: var(--line); stroke-width: .5; }
.honest { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 5 4; }
.columns p { max-width: 19rem; margin-top: 0; }
"""


def render(
    evaluations: Sequence[Evaluation], *, source: str, pictures: Mapping[str, bytes] | None = None
) -> str:
    """The page. `source` names the data set; `pictures`: small JPEGs by the name of their item."""
    body = [
        f"<h1>Candid on {escape(source)}</h1>",
        _table(evaluations),
        *(_section(evaluation, pictures or {}) for evaluation in evaluations),
        _unreadable(evaluations),
    ]
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Candid on {escape(source)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _table(evaluations: Sequence[Evaluation]) -> str:
    names = ("Pictures", "Labels", "Top-1", "Top-5", "Calibration error", "Seconds", "Pictures/s")
    head = "<th>Model</th><th>Template</th>" + "".join(f'<th class="n">{name}</th>' for name in names)
    rows = [
        f"<tr><td>{escape(e.model)}</td><td>{escape(e.template)}</td>"
        + _numbers(
            f"{e.images:,}",
            f"{e.classes:,}",
            f"{e.top1:.1%}",
            f"{e.top5:.1%}",
            f"{e.ece:.3f}",
            f"{e.seconds:.1f}",
            f"{e.images / e.seconds:.1f}" if e.seconds else "–",
        )
        + "</tr>"
        for e in evaluations
    ]
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _section(e: Evaluation, pictures: Mapping[str, bytes]) -> str:
    worst = [(s.label, s.accuracy, f"{s.accuracy:.0%} of {s.images}") for s in e.per_class[:WORST_LABELS]]
    warnings = "".join(f"<li>{escape(warning)}</li>" for warning in e.warnings)
    return (
        f"<h2>{escape(e.model)}, template {escape(e.template)}</h2>"
        + (f'<ul class="soft">{warnings}</ul>' if warnings else "")
        + '<div class="columns"><div><h3>How honest its probabilities are</h3>'
        + svg.reliability(e.reliability)
        + '<p class="soft">Bars: share of right answers among those that were this sure; stronger where more'
        " pictures are. On the dashed line, probabilities are honest.</p></div>"
        f"<div><h3>Labels that it finds hardest</h3>{svg.bars(worst)}</div></div>"
        + _labels(e)
        + _confusions(e)
        + _mistakes(e, pictures)
    )


def _labels(e: Evaluation) -> str:
    """Every label's accuracy, folded away, where the plot does not have room for all."""
    if len(e.per_class) <= WORST_LABELS:
        return ""
    rows = "".join(
        f"<tr><td>{escape(s.label)}</td>{_numbers(f'{s.accuracy:.1%}', f'{s.images:,}')}</tr>"
        for s in e.per_class
    )
    head = '<tr><th>Label</th><th class="n">Right</th><th class="n">Pictures</th></tr>'
    return f"<details><summary>All {len(e.per_class):,} labels</summary><table>{head}{rows}</table></details>"


def _confusions(e: Evaluation) -> str:
    if not e.confusions:
        return "<p>No mistakes.</p>"
    rows = "".join(
        f"<tr><td>{escape(c.truth)}</td><td>{escape(c.predicted)}</td>{_numbers(str(c.count))}</tr>"
        for c in e.confusions[:WORST_CONFUSIONS]
    )
    head = '<tr><th>Right label</th><th>Taken for</th><th class="n">Pictures</th></tr>'
    return f'<h3>Most confused</h3><div class="scroll"><table>{head}{rows}</table></div>'


def _mistakes(e: Evaluation, pictures: Mapping[str, bytes]) -> str:
    if not e.mistakes:
        return ""
    shown = []
    for mistake in e.mistakes:
        name, jpeg = mistake.item.name, pictures.get(mistake.item.name)
        source = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" if jpeg else ""
        image = f'<img src="{source}" alt="{escape(mistake.item.label)}">' if jpeg else ""
        shown.append(
            f"<li>{image}<br><b>{escape(mistake.item.label)}</b><br>taken for"
            f" {escape(mistake.predicted)}, {mistake.probability:.0%} sure"
            f'<br><span class="soft">{escape(name)}</span></li>'
        )
    return f'<h3>Surest mistakes</h3><ul class="pictures">{"".join(shown)}</ul>'


def _unreadable(evaluations: Sequence[Evaluation]) -> str:
    found = dict.fromkeys(item for e in evaluations for item in e.unreadable)
    if not found:
        return '<p class="soft">Every picture could be read.</p>'
    items = list(found)[:NAMED_UNREADABLE]
    named = "".join(f"<li>{escape(u.name)}: {escape(u.reason)}</li>" for u in items)
    more = f"<li>and {len(found) - len(items)} more</li>" if len(found) > len(items) else ""
    return f"<h2>Pictures that could not be read: {len(found)}</h2><ul>{named}{more}</ul>"


def _numbers(*values: str) -> str:
    return "".join(f'<td class="n">{value}</td>' for value in values)
