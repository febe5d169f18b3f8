"""`candid evaluate`: how good is a model, a template or a label set on labelled pictures?

The figures are made in `models/evaluation/evaluate.py`; here they are asked for and shown.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from app.cli.batch import embeddings
from app.cli.batch.embeddings import check_model, is_embeddings
from app.cli.label_set_argument import is_name, prepare, read_label_set, version_of
from app.cli.options import Device, Precision, failed, settings_of
from app.settings import Settings
from models.errors import CandidError, InvalidRequest

if TYPE_CHECKING:
    from app.cli.batch.embeddings import Embedded
    from models.classifier import Classifier
    from models.evaluation.dataset import Dataset
    from models.evaluation.embed_dataset import EmbeddedSet
    from models.evaluation.embed_dataset import Progress as Report
    from models.evaluation.evaluate import Evaluation, MakeScorer
    from models.scoring.scorer import Scorer

NAMED = 10  # unreadable pictures, hardest labels and confused pairs that are printed; the report has more
TITLES = ("model", "template", "pictures", "labels", "top-1", "top-5", "ECE", "s", "pictures/s")


def evaluate(
    dataset: Annotated[
        Path,
        typer.Argument(
            help="Class-named folders, a tar of class/name.jpg, a CSV of path,label, or what embed wrote."
        ),
    ],
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="A model, as for serve; repeat it to compare.")
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option("--template", "-t", help='A template with one "{}", or a preset; repeat it to compare.'),
    ] = None,
    label_set: Annotated[
        list[str] | None,
        typer.Option(help="A stored label set's name, or a JSON file as PUT takes it; repeat it to compare."),
    ] = None,
    domain: Annotated[
        str | None, typer.Option(help='What kind of thing all labels are: "food", "bird".')
    ] = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Write the figures, one object a row; - prints them.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write one self-contained HTML page with plots and mistakes.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many pictures, drawn at random.")] = None,
    seed: Annotated[int, typer.Option(help="Which ones --limit draws.")] = 0,
    device: Device = None,
    precision: Precision = None,
) -> None:
    """Measure models, templates and label sets on labelled pictures, side by side."""
    settings = settings_of(device=device, precision=precision)
    console = Console(stderr=str(as_json) == "-")
    try:
        found, pictures = _measure(
            dataset,
            model or [settings.specs[0]],
            template or [],
            label_set or [],
            domain,
            limit,
            seed,
            settings,
        )
        print_evaluations(console, found)
        if as_json is not None:
            _write(as_json, json.dumps([each.row() for each in found], indent=2) + "\n")
        if report is not None:
            _write(report, _page(found, pictures))
    except CandidError as error:
        raise failed(error.message) from error


def _measure(
    source: Path,
    models: Sequence[str],
    templates: Sequence[str],
    label_sets: Sequence[str],
    domain: str | None,
    limit: int | None,
    seed: int,
    settings: Settings,
) -> tuple[list[Evaluation], Dataset]:
    """Every template and label set with every model, in the order they were named."""
    from app.cli.batch.local import for_many
    from app.model_loading import load_options
    from models import load
    from models.evaluation.dataset import find, sample
    from models.evaluation.evaluate import evaluate as measure
    from models.labels.prompts import templates_of

    ways = [_way(label_set, settings) for label_set in label_sets]
    templates_of(templates)  # a wrong one is told before anything is loaded
    vectors = {each.name: each for each in embeddings.read(source)} if is_embeddings(source) else None
    pictures = sample(find(source) if vectors is None else _of_names(source, vectors), limit, seed=seed)
    found: list[Evaluation] = []
    for spec in dict.fromkeys(models):
        classifier = load(spec, for_many(load_options(settings)))
        try:
            with progress_bar(classifier.info.name) as progress:
                known = _known(classifier, pictures, vectors) if vectors is not None else None
                found += measure(
                    classifier,
                    pictures,
                    templates,
                    domain=domain,
                    ways=ways,
                    progress=progress,
                    embedded=known,
                )
        finally:
            classifier.close()
    return found, pictures


def _of_names(source: Path, names: Collection[str]) -> Dataset:
    """Pictures that were embedded before, labelled by the folders in their names."""
    from models.evaluation.dataset import Dataset, by_folder

    items = tuple(by_folder([(PurePath(name), Path(name)) for name in names]))
    if not items:
        raise InvalidRequest(f"{source}: no name in it has a class-named folder", field="dataset")
    return Dataset(source, items, tuple(sorted({item.label for item in items})))


def _known(classifier: Classifier, pictures: Dataset, vectors: Mapping[str, Embedded]) -> EmbeddedSet:
    """The data set as it was embedded. Raises InvalidRequest when another model did it."""
    from models.evaluation.embed_dataset import EmbeddedSet

    info = classifier.info
    rows = [vectors[str(item.place)] for item in pictures.items]
    for row in rows:
        check_model(row, str(pictures.source), info.name, info.fingerprint)
    return EmbeddedSet(pictures.items, np.stack([row.vector for row in rows]), (), 0.0)


def _way(given: str, settings: Settings) -> tuple[str, MakeScorer]:
    """How a label set answers, under its name: a stored one with its examples and its temperature."""
    from app.requests.question import Question
    from models.evaluation.evaluate import by_words

    if not is_name(given):
        return Path(given).name, by_words(read_label_set(Path(given)))
    changes = {"mode": "single", "reject": False}

    def way(classifier: Classifier) -> tuple[Scorer, tuple[str, ...]]:
        prepared = prepare(Question(name=given, changes=changes), classifier, settings)
        return prepared.scorer, prepared.warnings

    return f"{given} (version {version_of(given, settings)})", way


@contextmanager
def progress_bar(name: str) -> Iterator[Report]:
    """A bar on standard error that shows how many pictures are done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def print_evaluations(console: Console, found: Sequence[Evaluation]) -> None:
    """One table of all configurations, then what the best of them gets wrong and what could not be read."""
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for title in TITLES:
        table.add_column(
            title, justify="left" if title in ("model", "template") else "right", overflow="fold"
        )
    best = max(found, key=lambda each: each.top1)
    for each in found:
        style = "bold green" if each is best and len(found) > 1 else ""
        table.add_row(Text(each.model), Text(each.template), *_figures(each), style=style)
    console.print(table)
    _print_mistakes(console, best)
    for warning in dict.fromkeys(warning for each in found for warning in each.warnings):
        console.print(Text(f"warning: {warning}", style="yellow"))
    unreadable = dict.fromkeys(item for each in found for item in each.unreadable)
    if unreadable:
        pictures = "1 picture" if len(unreadable) == 1 else f"{len(unreadable)} pictures"
        console.print(Text(f"{pictures} could not be read:", style="red"))
        for item in list(unreadable)[:NAMED]:
            console.print(Text(f"  {item.name}: {item.reason}"))
        if len(unreadable) > NAMED:
            console.print(f"  and {len(unreadable) - NAMED} more")


def _figures(each: Evaluation) -> tuple[str, ...]:
    return (
        f"{each.images}",
        f"{each.classes}",
        f"{each.top1:.1%}",
        f"{each.top5:.1%}",
        f"{each.ece:.3f}",
        f"{each.seconds:.1f}",
        f"{each.images / each.seconds:.1f}" if each.seconds else "–",
    )


def _print_mistakes(console: Console, best: Evaluation) -> None:
    hardest = [score for score in best.per_class if score.accuracy < 1][:NAMED]
    if hardest:
        words = ", ".join(f"{score.label} {score.accuracy:.0%}" for score in hardest)
        console.print(Text.assemble(("hardest: ", "bold"), words))
    if best.confusions:
        words = ", ".join(f"{c.truth} → {c.predicted} ({c.count})" for c in best.confusions[:NAMED])
        console.print(Text.assemble(("most confused: ", "bold"), words))


def _page(found: Sequence[Evaluation], pictures: Dataset) -> str:
    from models.evaluation.report import render
    from models.evaluation.thumbnails import thumbnails

    items = [mistake.item for each in found for mistake in each.mistakes]
    return render(found, source=pictures.source.name, pictures=thumbnails(pictures, items))


def _write(path: Path, text: str) -> None:
    if str(path) == "-":
        typer.echo(text, nl=False)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise failed(f"{path}: {error.strerror}") from error
