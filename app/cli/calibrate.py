"""`candid calibrate`: fit a temperature on labelled pictures, and keep it for the service.

It is kept in the label sets' database: for a model, to be used by requests with `calibrated=true` whatever
their labels are; or for a stored label set, whose answers use it from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.evaluate import progress_bar
from app.cli.label_set_argument import prepare, version_of
from app.cli.options import Device, Precision, failed, settings_of
from app.settings import Settings
from models.errors import CandidError, InvalidRequest

if TYPE_CHECKING:
    from models.classifier import Classifier
    from models.evaluation.dataset import Dataset
    from models.scoring.calibration import Calibration
    from models.scoring.scorer import Scorer


@dataclass(frozen=True, slots=True)
class Fit:
    """A fit, and whom it is for."""

    model: str
    fingerprint: str
    version: int | None  # of the label set; None: for the model
    unreadable: int
    fitted: Calibration


def calibrate(
    dataset: Annotated[
        Path, typer.Argument(help="Class-named folders, a tar of class/name.jpg, or a CSV of path,label.")
    ],
    model: Annotated[str | None, typer.Option("--model", "-m", help="The model, as for serve.")] = None,
    template: Annotated[
        list[str] | None,
        typer.Option("--template", "-t", help='A template with one "{}", or a preset; several are averaged.'),
    ] = None,
    label_set: Annotated[
        str | None, typer.Option(help="A stored label set's name: the temperature becomes the set's own.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many pictures, drawn at random.")] = None,
    seed: Annotated[int, typer.Option(help="Which ones --limit draws.")] = 0,
    keep: Annotated[
        bool, typer.Option("--keep/--show", help="Keep it in CANDID_DATABASE_URL, or only show it.")
    ] = True,
    device: Device = None,
    precision: Precision = None,
) -> None:
    """Fit the temperature that makes probabilities honest: a model's, or a label set's."""
    settings = settings_of(model=model, device=device, precision=precision)
    try:
        if label_set and template:
            raise InvalidRequest("a label set has its own templates: leave out --template")
        found = _fit(dataset, _answering(label_set, template or [], settings), limit, seed, settings)
        fitted = found.fitted
        typer.echo(f"{found.model}: temperature {fitted.temperature:.4g}, from {fitted.images} pictures")
        typer.echo(
            f"expected calibration error {fitted.ece_before:.3f} without it, {fitted.ece_after:.3f} with it"
        )
        typer.echo(
            f"negative log-likelihood {fitted.nll_before:.3f} without it, {fitted.nll_after:.3f} with it"
        )
        if found.unreadable:
            typer.echo(f"{found.unreadable} pictures could not be read: candid evaluate names them")
        if keep:
            typer.echo(_keep(settings, label_set, found))
    except CandidError as error:
        raise failed(error.message) from error


Answering = Callable[["Classifier", "Dataset"], tuple["Scorer", int | None]]
"""How the model answers, and the label set's version."""


def _answering(label_set: str | None, templates: list[str], settings: Settings) -> Answering:
    from models.evaluation.evaluate import by_words
    from models.labels.label_set import Label, LabelSet
    from models.labels.prompts import templates_of

    templates_of(templates)  # a mistake is told before anything is loaded
    if label_set is None:
        return lambda classifier, pictures: (
            by_words(LabelSet(tuple(map(Label, pictures.classes)), tuple(templates)))(classifier)[0],
            None,
        )
    name = label_set
    version_of(name, settings)

    def stored(classifier: Classifier, _: Dataset) -> tuple[Scorer, int | None]:
        from app.requests.question import Question

        changes = {"mode": "single", "reject": False}
        prepared = prepare(Question(name=name, changes=changes, calibrated=False), classifier, settings)
        return prepared.scorer, prepared.version

    return stored


def _fit(source: Path, answering: Answering, limit: int | None, seed: int, settings: Settings) -> Fit:
    from app.cli.batch.local import for_many
    from app.model_loading import load_options
    from app.service.embedded_labels import vectors_key
    from models import load
    from models.evaluation.dataset import find, sample
    from models.evaluation.embed_dataset import embed
    from models.evaluation.evaluate import truth_of
    from models.scoring.calibration import fit
    from models.scoring.scorer import logits

    pictures = sample(find(source), limit, seed=seed)
    classifier = load(settings.specs[0], for_many(load_options(settings)))
    info = classifier.info
    try:
        scorer, version = answering(classifier, pictures)
        with progress_bar(info.name) as progress:
            embedded = embed(classifier, pictures, progress=progress)
    finally:
        classifier.close()
    truth = truth_of(embedded.items, scorer.matrix.labels)
    fitted = fit(logits(scorer, embedded.vectors), truth)
    return Fit(info.name, vectors_key(info), version, len(embedded.unreadable), fitted)


def _keep(settings: Settings, label_set: str | None, found: Fit) -> str:
    from app.storage import label_sets
    from app.storage.database import ANYHOW, Condition, Database

    fitted = found.fitted
    kept = label_sets.StoredCalibration(
        found.fingerprint, fitted.temperature, fitted.images, fitted.ece_before, fitted.ece_after, 0
    )
    # Not for a set that has changed while its pictures were looked at.
    condition = ANYHOW if found.version is None else Condition(versions=frozenset({found.version}))
    db = Database(settings.database_url)
    try:
        version = label_sets.save_calibration(
            db, label_set or label_sets.ANY_LABELS, kept, condition=condition
        )
    finally:
        db.close()
    if label_set:
        return f"kept: {label_set}, now version {version}, answers with it"
    return "kept: requests with calibrated=true use it"
