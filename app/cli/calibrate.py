"""`candid calibrate`: fit a temperature and a curve on labelled pictures, and keep them for the service.

They are kept in the label sets' database: for a model, to be used by requests with `calibrated=true` and of
mode multi whatever their labels are; or for a stored label set, whose answers use them from then on.
"""

from __future__ import annotations

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
    from app.requests.question import Question
    from models.evaluation.dataset import Dataset
    from models.pretrained.info import ModelInfo
    from models.scoring.fitting import Fits


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was fitted, and whom it is for."""

    info: ModelInfo
    version: int | None  # of the label set; None: for the model
    unreadable: int
    fits: Fits


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
        str | None, typer.Option(help="A stored label set's name: what is found becomes the set's own.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many pictures, drawn at random.")] = None,
    seed: Annotated[int, typer.Option(help="Which ones --limit draws.")] = 0,
    keep: Annotated[
        bool, typer.Option("--keep/--show", help="Keep it in CANDID_DATABASE_URL, or only show it.")
    ] = True,
    device: Device = None,
    precision: Precision = None,
) -> None:
    """Fit the temperature and mode multi's curve that make probabilities honest: a model's, or a set's."""
    settings = settings_of(model=model, device=device, precision=precision)
    try:
        if label_set and template:
            raise InvalidRequest("a label set has its own templates: leave out --template")
        _check(label_set, template or [], settings)
        found = _fit(dataset, label_set, template or [], limit, seed, settings)
        _tell(found)
        if found.unreadable:
            typer.echo(f"{found.unreadable} pictures could not be read: candid evaluate names them")
        if keep:
            typer.echo(_keep(settings, label_set, found))
    except CandidError as error:
        raise failed(error.message) from error


def _check(label_set: str | None, templates: list[str], settings: Settings) -> None:
    """A mistake is told before anything is loaded."""
    from models.labels.prompts import templates_of

    templates_of(templates)
    if label_set is not None:
        version_of(label_set, settings)


def _tell(found: Fitted) -> None:
    fitted, curve = found.fits.temperature, found.fits.curve
    typer.echo(f"{found.info.name}: temperature {fitted.temperature:.4g}, from {fitted.images} pictures")
    typer.echo(
        f"expected calibration error {fitted.ece_before:.3f} without it, {fitted.ece_after:.3f} with it"
    )
    typer.echo(f"negative log-likelihood {fitted.nll_before:.3f} without it, {fitted.nll_after:.3f} with it")
    if curve is not None:
        typer.echo(f"mode multi: slope {curve.curve.slope:.4g}, offset {curve.curve.offset:.4g}")
        typer.echo(
            f"expected calibration error {curve.ece_before:.3f} with the embedded model's, "
            f"{curve.ece_after:.3f} with it"
        )


def _question(label_set: str | None, templates: list[str], pictures: Dataset) -> Question:
    from app.requests.question import Question
    from app.service.fitted import CHANGES
    from models.labels.label_set import Label, LabelSet

    if label_set is not None:
        return Question(name=label_set, changes=CHANGES, calibrated=False)
    labels = tuple(map(Label, pictures.classes))
    return Question(label_set=LabelSet(labels, tuple(templates), mode="multi"), calibrated=False)


def _fit(
    source: Path,
    label_set: str | None,
    templates: list[str],
    limit: int | None,
    seed: int,
    settings: Settings,
) -> Fitted:
    from app.cli.batch.local import for_many
    from app.model_loading import load_options
    from app.service.label_set_scorers import NO_DEADLINE
    from models import load
    from models.evaluation.dataset import find, sample
    from models.evaluation.embed_dataset import embed
    from models.evaluation.evaluate import truth_of

    pictures = sample(find(source), limit, seed=seed)
    classifier = load(settings.specs[0], for_many(load_options(settings)))
    info = classifier.info
    try:
        scorer = prepare(_question(label_set, templates, pictures), classifier, settings)
        with progress_bar(info.name) as progress:
            embedded = embed(classifier, pictures, progress=progress)
    finally:
        classifier.close()
    truth = truth_of(embedded.items, scorer.labels)
    fits = scorer.fit(embedded.vectors, truth, NO_DEADLINE)
    return Fitted(info, scorer.version, len(embedded.unreadable), fits)


def _keep(settings: Settings, label_set: str | None, found: Fitted) -> str:
    from app.service import fitted
    from app.storage import calibrations
    from app.storage.database import ANYHOW, Condition, Database

    kept = fitted.kept(found.info, found.fits)
    # Not for a set that has changed while its pictures were looked at.
    condition = ANYHOW if found.version is None else Condition(versions=frozenset({found.version}))
    db = Database(settings.database_url)
    try:
        version = calibrations.save(db, label_set or calibrations.ANY_LABELS, kept, condition=condition)
    finally:
        db.close()
    if label_set:
        return f"kept: {label_set}, now version {version}, answers with it"
    return "kept: requests with calibrated=true, and those of mode multi, use it"
