"""An evaluation as one self-contained HTML page (`report.html.jinja`): tables, plots, the surest mistakes.

Names of files and labels are other people's text: the template escapes everything.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Final

import jinja2

from models.evaluation.evaluate import Evaluation

WORST_LABELS: Final = 25
WORST_CONFUSIONS: Final = 15
NAMED_UNREADABLE: Final = 50


def render(
    evaluations: Sequence[Evaluation], *, source: str, pictures: Mapping[str, bytes] | None = None
) -> str:
    """The page. `source` names the data set; `pictures`: small JPEGs by the name of their item."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": "{:.1%}".format,
        "whole": "{:.0%}".format,
        "thousands": "{:,}".format,
        "px": "{:.1f}".format,
    }
    template = resources.files("models.evaluation").joinpath("report.html.jinja").read_text("utf-8")
    return environment.from_string(template).render(
        evaluations=evaluations,
        source=source,
        jpegs={name: base64.b64encode(jpeg).decode() for name, jpeg in (pictures or {}).items()},
        unreadable=list(dict.fromkeys(picture for e in evaluations for picture in e.unreadable)),
        worst_labels=WORST_LABELS,
        worst_confusions=WORST_CONFUSIONS,
        named_unreadable=NAMED_UNREADABLE,
    )
