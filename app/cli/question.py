"""The question of `candid classify`, and how an answer looks: label sets, many of many, rejection, trees.

A label set is a JSON file, or the name of a stored one. Knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.label_set_argument import is_name, label_set_body, read_label_set
from app.cli.terminal import bar
from app.requests.question import Question
from models.errors import InvalidRequest
from models.labels.label_set import Label, LabelSet, check
from models.labels.prompts import templates_of


def special_of(
    labels: Sequence[str],
    templates: Sequence[str],
    label_set: str | None,
    changes: Mapping[str, Any],
    calibrated: bool | None,
) -> Question | None:
    """What the options ask for; None when plain labels are all."""
    given = {name: value for name, value in changes.items() if value is not None}
    if templates:
        given["templates"] = tuple(templates)
    if label_set is not None:
        if labels:
            raise InvalidRequest("give labels or a label set, not both", field="labels")
        if is_name(label_set):
            return Question(name=label_set, changes=given, calibrated=calibrated)
        own = read_label_set(Path(label_set))
        made = LabelSet(**{name: getattr(own, name) for name in LabelSet.__slots__} | given)
    else:
        made = LabelSet(tuple(map(Label, dict.fromkeys(labels))), **given)
        if made.is_plain and calibrated is None and not given.keys() - {"templates"}:
            return None
    check(made)
    return Question(label_set=made, calibrated=calibrated)


def question_of(
    labels: Sequence[str],
    templates: Sequence[str],
    label_set: str | None,
    changes: Mapping[str, Any],
    calibrated: bool | None,
) -> dict[str, Any]:
    """The same options as fields of POST /v1/classify; mistakes are told before anybody is asked."""
    if special_of(labels, templates, label_set, changes, calibrated) is None and not labels:
        raise InvalidRequest("give at least one label (-l cat -l dog), or a --label-set", field="labels")
    templates_of(templates)
    given: dict[str, Any] = {"labels": list(labels)}
    if label_set is not None and is_name(label_set):
        given = {"label_set": label_set}
    elif label_set is not None:
        given = label_set_body(Path(label_set)).model_dump(mode="json", exclude_unset=True)
    if templates:
        given["template"] = list(templates)
    given |= {name: value for name, value in changes.items() if value is not None}
    return given if calibrated is None else given | {"calibrated": calibrated}


def print_answer(console: Console, name: str, result: Mapping[str, Any]) -> None:
    """One block a picture: what fits, how sure, and whether anything fits at all."""
    if "error" in result:
        console.print(Text(f"{name}: {result['error']['message']}", style="red"))
        return
    console.print(Text(f"{name}  {result['width']} × {result['height']}", style="bold"))
    rejection = result.get("rejection")
    if rejection:
        words = "none of these" if rejection["rejected"] else "one of these"
        limit = f"score {rejection['score']:.2f}, limit {rejection['threshold']:g}"
        console.print(Text(f" {words} ({limit})", style="red" if rejection["rejected"] else "green"))
    tree = result.get("tree")
    if tree:
        sure = tree["answer"]
        words = f"{sure['label']} ({sure['probability']:.1%})" if sure else "not sure of anything"
        console.print(Text(f" {words}", style="green" if sure else "red"))
    console.print(_table(result["ranking"]))


def _table(ranking: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1))
    for place, ranked in enumerate(ranking):
        style = "bold green" if ranked.get("holds", place == 0) else ""
        table.add_row(
            Text(ranked["label"], style=style),
            Text(bar(ranked["probability"]), style=style or "cyan"),
            f"{ranked['probability']:6.1%}",
            f"{ranked['similarity']:+.3f}",
        )
    return table
