"""`candid calibrate`: fit a model's temperature on labelled pictures, and keep it for the service.

It is kept in the label sets' database; requests with `calibrated=true` use it, whatever their labels are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli_options import Device, Precision, failed, settings_of
from app.evaluate_cli import progress_bar
from app.settings import Settings
from models.errors import CandidError

if TYPE_CHECKING:
    from models.calibration import Calibration


def calibrate(
    dataset: Annotated[
        Path, typer.Argument(help="Class-named folders, a tar of class/name.jpg, or a CSV of path,label.")
    ],
    model: Annotated[str | None, typer.Option("--model", "-m", help="The model, as for serve.")] = None,
    template: Annotated[
        list[str] | None,
        typer.Option("--template", "-t", help='A template with one "{}", or a preset; several are averaged.'),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many pictures, drawn at random.")] = None,
    seed: Annotated[int, typer.Option(help="Which ones --limit draws.")] = 0,
    keep: Annotated[
        bool, typer.Option("--keep/--show", help="Keep it in CANDID_DATABASE_URL, or only show it.")
    ] = True,
    device: Device = None,
    precision: Precision = None,
) -> None:
    """Fit the temperature that makes a model's probabilities honest."""
    settings = settings_of(model=model, device=device, precision=precision)
    try:
        name, fingerprint, unreadable, found = _fit(dataset, template or [], limit, seed, settings)
        typer.echo(f"{name}: temperature {found.temperature:.4g}, from {found.images} pictures")
        typer.echo(
            f"expected calibration error {found.ece_before:.3f} without it, {found.ece_after:.3f} with it"
        )
        typer.echo(
            f"negative log-likelihood {found.nll_before:.3f} without it, {found.nll_after:.3f} with it"
        )
        if unreadable:
            typer.echo(f"{unreadable} pictures could not be read: candid evaluate names them")
        if keep:
            typer.echo(_keep(settings, fingerprint, found))
    except CandidError as error:
        raise failed(error.message) from error


def _fit(
    source: Path, templates: list[str], limit: int | None, seed: int, settings: Settings
) -> tuple[str, str, int, Calibration]:
    """The model's name and fingerprint, how many pictures could not be read, and the fit."""
    from app.main import load_options
    from models import load
    from models.calibration import fit
    from models.dataset import find, sample
    from models.embed_all import embed
    from models.evaluation import truth_of
    from models.prompts import templates_of

    templates_of(templates)
    pictures = sample(find(source), limit, seed=seed)
    classifier = load(settings.specs[0], load_options(settings))
    info = classifier.info
    try:
        with progress_bar(info.name) as progress:
            embedded = embed(classifier, pictures, progress=progress)
        matrix = classifier.label_matrix(pictures.classes, templates=templates).result()
    finally:
        classifier.close()
    logits = info.logit_scale * embedded.vectors @ matrix.vectors.T  # (M, N)
    found = fit(logits, truth_of(embedded.items, matrix.labels))
    return info.name, info.fingerprint, len(embedded.unreadable), found


def _keep(settings: Settings, fingerprint: str, found: Calibration) -> str:
    from app import store
    from app.database import Database

    fitted = store.Calibration(
        fingerprint, found.temperature, found.images, found.ece_before, found.ece_after, 0
    )
    db = Database(settings.database_url)
    try:
        store.save_calibration(db, store.ANY_LABELS, fitted)
    finally:
        db.close()
    return "kept: requests with calibrated=true use it"
