"""`candid label-sets`: the stored label sets, as the service of the same CANDID_DATABASE_URL has them.

What a set is and what is refused is the service's own code; a change that is made here is a version like any.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.batch.embeddings import check_model, is_embeddings, read
from app.cli.label_set_argument import is_name, label_set_body
from app.cli.options import Device, Precision, failed, settings_of
from app.settings import Settings
from models.errors import CandidError, ImageRejected, InvalidRequest

if TYPE_CHECKING:
    from concurrent.futures import Future

    from app.storage.database import Database
    from app.storage.vectors import Vectors
    from models.batching.image_embeddings import EmbeddedImage
    from models.classifier import Classifier

app = typer.Typer(no_args_is_help=True, help="Store label sets and teach them, without a server.")

Name = Annotated[str, typer.Argument(help="The set's name: a-z, 0-9, _ and -.")]
Label = Annotated[str, typer.Argument(help="One of its labels.")]


@contextmanager
def _database() -> Iterator[tuple[Database, Settings]]:
    """The settings' database; what goes wrong is told and ends the command."""
    from app.storage.database import Database

    settings = settings_of()
    db = Database(settings.database_url)
    try:
        yield db, settings
    except CandidError as error:
        raise failed(error.message) from error
    finally:
        db.close()


@app.command("list")
def list_sets() -> None:
    """Name, version, labels and examples of every set."""
    from app.storage import label_sets

    with _database() as (db, _):
        rows = label_sets.summaries(db)
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for title in ("name", "version", "labels", "examples"):
        table.add_column(title, justify="left" if title == "name" else "right")
    for row in rows:
        table.add_row(Text(row.name), f"{row.version}", f"{row.labels}", f"{row.examples}")
    Console().print(table)


@app.command()
def show(name: Name) -> None:
    """One set as JSON; what `put` takes is in it."""
    from app.storage import label_sets

    with _database() as (db, _):
        stored = label_sets.get(db, name)
    document = {"name": name, "version": stored.version, **stored.document, "examples": dict(stored.examples)}
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


@app.command()
def put(
    name: Name,
    file: Annotated[Path, typer.Argument(help="JSON as PUT /v1/label-sets/{name} takes it.")],
) -> None:
    """Store a set, or replace it in whole; examples of labels that stay are kept."""
    from app.requests.label_sets import document_of
    from app.storage import label_sets

    if not is_name(name):
        raise failed(f"{name!r} is no name: a-z, 0-9, _ and -, 64 at most, no file")
    body = label_set_body(file)
    with _database() as (db, settings):
        stored, new = label_sets.put(db, name, document_of(body, settings), most=settings.max_label_sets)
    typer.echo(f"{name}: {'stored' if new else 'replaced'}, version {stored.version}")


@app.command()
def delete(name: Name) -> None:
    """Delete a set with its examples and its calibration."""
    from app.storage import label_sets

    with _database() as (db, _):
        label_sets.remove(db, name)
    typer.echo(f"{name}: deleted")


@app.command()
def teach(
    name: Name,
    label: Label,
    pictures: Annotated[
        list[Path],
        typer.Argument(
            help="Pictures of it, or files that candid embed wrote of them. Only embeddings are kept."
        ),
    ],
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="A model, as for serve; repeat it.")
    ] = None,
    device: Device = None,
    precision: Precision = None,
) -> None:
    """Add pictures as examples of a label, as every model that serves (or is named) sees them."""
    from app.storage import examples as stored_examples

    chosen = settings_of(device=device, precision=precision)
    with _database() as (db, settings):
        stored_examples.listed(db, name, label)  # a wrong name is told before a model is loaded
        for picture in pictures:
            if not picture.is_file():
                raise InvalidRequest(f"{picture}: there is no such file")
        seen = _embedded(label, pictures, model or list(settings.specs), chosen)
        kept = [stored_examples.Coming(label, example_id, vectors) for example_id, vectors in seen if vectors]
        version, added = stored_examples.add(db, name, kept, most=settings.max_examples)
    known = sum(each.duplicate for each in added)
    typer.echo(f"{label}: {len(added) - known} added, {known} known already; {name} is at version {version}")
    if len(added) < len(seen):
        raise typer.Exit(1)


@app.command()
def examples(name: Name, label: Label) -> None:
    """The ids of a label's examples, oldest first."""
    from app.storage import examples as stored_examples

    with _database() as (db, _):
        for each in stored_examples.listed(db, name, label)[1]:
            typer.echo(each.id)


@app.command()
def forget(
    name: Name, label: Label, example: Annotated[str, typer.Argument(help="An id, as `examples` has it.")]
) -> None:
    """Remove one example."""
    from app.storage import examples as stored_examples

    with _database() as (db, _):
        version = stored_examples.remove(db, name, label, example)
    typer.echo(f"{label}: one example removed; {name} is at version {version}")


def _embedded(
    label: str, pictures: Sequence[Path], specs: Sequence[str], settings: Settings
) -> list[tuple[str, dict[str, Vectors]]]:
    """Each picture's id, and its vectors by the models' keys: none of what is no picture, which is told."""
    from app.cli.batch.local import for_many
    from app.model_loading import load_options
    from app.service.embedded_labels import vectors_key
    from app.storage.examples import id_of
    from models import load
    from models.batching.read_ahead import read_ahead
    from models.evaluation.picture_files import read_file

    known = [path for path in pictures if is_embeddings(path)]
    pictures = [path for path in pictures if path not in known]
    vectors: list[tuple[str, dict[str, Vectors]]] = []
    ids: dict[Path, str] = {}
    seen: dict[Path, dict[str, Vectors]] = {picture: {} for picture in pictures}
    refused: dict[Path, str] = {}

    def begun(classifier: Classifier) -> Iterator[tuple[tuple[Path, Future[EmbeddedImage]], int]]:
        for picture in seen:
            try:
                data = read_file(picture)
            except OSError as error:
                raise InvalidRequest(f"{picture}: {error.strerror}") from error
            ids[picture] = id_of(label, data)
            yield (picture, classifier.embed_image(data)), len(data)

    for spec in dict.fromkeys(specs):
        classifier = load(spec, for_many(load_options(settings)))
        try:
            key = vectors_key(classifier.info)
            for path in known:
                for each in read(path):
                    check_model(each, str(path), classifier.info.name, classifier.info.fingerprint)
                    example_id = id_of(label, key.encode() + each.vector.tobytes())  # as the service names it
                    vectors.append((example_id, {key: each.vector}))
            for picture, future in read_ahead(begun(classifier)):
                try:
                    seen[picture][key] = future.result().vector
                except ImageRejected as error:
                    refused[picture] = error.message
        finally:
            classifier.close()
    for picture, message in refused.items():
        typer.echo(f"{picture}: {message}", err=True)
        seen[picture] = {}
    return vectors + [(ids[picture], by_model) for picture, by_model in seen.items()]
