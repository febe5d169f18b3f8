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

from app.cli.label_set_argument import is_name, label_set_body
from app.cli.terminal import bar
from app.requests.body import validate
from app.requests.question import Question, question_of
from app.schemas.requests import ClassifyBody
from models.errors import InvalidRequest
from models.labels.prompts import templates_of


def fields_of(
    labels: Sequence[str],
    templates: Sequence[str],
    label_set: str | None,
    changes: Mapping[str, Any],
    calibrated: bool | None,
    top_k: int | None = None,
    vocabulary: str | None = None,
) -> dict[str, Any]:
    """The options as fields of POST /v1/classify."""
    if bool(labels) + (label_set is not None) + (vocabulary is not None) != 1:
        raise InvalidRequest(
            "give labels (-l cat -l dog), or a --label-set, or a --vocabulary, and only one of these",
            field="labels",
        )
    given: dict[str, Any] = {"labels": list(labels)}
    if vocabulary is not None:
        given = {"vocabulary": vocabulary}
    elif label_set is not None and is_name(label_set):
        given = {"label_set": label_set}
    elif label_set is not None:
        given = label_set_body(Path(label_set)).model_dump(mode="json", exclude_unset=True)
    if templates:
        given["template"] = list(templates)
    more = {**changes, "calibrated": calibrated, "top_k": top_k}
    return given | {name: value for name, value in more.items() if value is not None}


def question_of_fields(fields: Mapping[str, Any]) -> Question:
    """As the service reads them; mistakes are told before a model is loaded or anybody is asked."""
    body = validate(ClassifyBody, fields)
    templates_of(body.template)
    return question_of(body)


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
