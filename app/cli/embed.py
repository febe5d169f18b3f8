"""`candid embed`: pictures or texts to vectors, in a file that other commands take in their place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import Device, Model, Overwrite, Precision, Ray, failed, settings_of
from app.settings import Settings
from models.errors import CandidError, InvalidRequest

if TYPE_CHECKING:
    from app.cli.batch.run import Asker


def embed(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pictures, folders, globs, tars, or CSV/Parquet lists with a column path or file; with "
            "--texts: texts."
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Where vectors go: .npy, .jsonl or .parquet. Continues it."),
    ] = None,
    texts: Annotated[
        bool, typer.Option("--texts", help="Embed texts, as they stand, in place of pictures.")
    ] = False,
    from_stdin: Annotated[
        bool,
        typer.Option("--from-stdin", "-@", help="Read paths (or texts) from standard input, one a line."),
    ] = False,
    overwrite: Overwrite = False,
    ray: Ray = None,
    model: Model = None,
    device: Device = None,
    precision: Precision = None,
) -> None:
    """Embed pictures or texts: vectors for candid classify, evaluate and label-sets, or for a search."""
    settings = settings_of(model=model, device=device, precision=precision)
    from app.cli.batch.embedder import Texts
    from app.cli.batch.outputs import EMBEDDINGS, Output, check_apart
    from app.cli.batch.report import Shown, digest, finished, under_way
    from app.cli.batch.run import Job
    from app.cli.batch.sources import Sources
    from app.cli.bulk.run import BulkJob, on_ray

    try:
        if output is None:
            raise InvalidRequest(
                f"name a file for the vectors: -o FILE, which ends in {', '.join(EMBEDDINGS.endings)}"
            )
        asked = digest("embed", texts, settings.specs[0], settings.precision)
        start = _starter(settings, texts=texts)
        if ray is not None:
            if texts:
                raise InvalidRequest("--ray embeds pictures, not --texts")
            job = BulkJob(ray, tuple(sources or ()), from_stdin, start, output, vectors=True, asked=asked)
            raise on_ray(job, settings, overwrite=overwrite)
        file = Path(output)
        given: Texts | Sources = (Texts if texts else Sources)(tuple(sources or ()), from_stdin)
        given.check()
        if not texts:
            check_apart(file, given.arguments, "vectors")
        kept = Output(file, asked=asked, overwrite=overwrite, form=EMBEDDINGS)
        shown = Shown(as_json=False, quiet=True)
        run = Job(given, start, shown, kept, ahead=under_way(settings))
        raise finished(run, shown)
    except CandidError as error:
        raise failed(error.message) from error


def _starter(settings: Settings, *, texts: bool) -> Callable[[], Asker]:
    """Loads the model when the first picture is there."""

    def start() -> Asker:
        import models
        from app.cli.batch.embedder import Embedder
        from app.cli.batch.local import for_many
        from app.model_loading import load_options

        return Embedder(models.load(settings.specs[0], for_many(load_options(settings))), texts=texts)

    return start
