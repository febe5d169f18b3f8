"""`candid classify`: one picture or a million, by a model here or by a running service.

The options are read and put together here; the work is done in `app/cli/batch/`. Torch is not imported
before a model is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import Device, Model, Overwrite, Precision, Ray, failed, settings_of
from app.settings import Settings
from models.errors import CandidError, InvalidRequest
from models.labels.label_set import Mode
from models.labels.vocabularies import VocabularyName

if TYPE_CHECKING:
    from app.cli.batch.run import Asker
    from app.requests.question import Question


def classify(
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pictures, folders, globs, tars, CSV/Parquet lists with a column path or file, or a file "
            "that candid embed wrote; - reads one picture from standard input."
        ),
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", "-l", help="A candidate label; repeat it.")
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option("--template", "-t", help='A prompt template with one "{}", or a preset; repeat it.'),
    ] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", "-k", min=1, help="Only the best.")] = None,
    label_set: Annotated[
        str | None, typer.Option(help="In place of labels: a label set's name, or its JSON file.")
    ] = None,
    vocabulary: Annotated[
        VocabularyName | None,
        typer.Option(help="In place of labels: words that ship with Candid; the best 10 unless --top-k."),
    ] = None,
    mode: Annotated[
        Mode | None, typer.Option(help="single: one of the labels; multi: each by itself.")
    ] = None,
    reject: Annotated[
        bool | None, typer.Option("--reject/--no-reject", help="Say when none of the labels fits.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="With --mode multi: the probability from which a label holds."),
    ] = None,
    reject_threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="With --reject: the score below which none fits.")
    ] = None,
    domain: Annotated[str | None, typer.Option(help='What all labels are: "food", "bird".')] = None,
    calibrated: Annotated[
        bool | None, typer.Option("--calibrated/--raw", help="Use a temperature that candid calibrate found.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON as the service answers it.")] = False,
    from_stdin: Annotated[
        bool, typer.Option("--from-stdin", "-@", help="Read paths from standard input, one a line.")
    ] = False,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Write a row a picture: .csv, .jsonl or .parquet. Continues it."),
    ] = None,
    overwrite: Overwrite = False,
    ray: Ray = None,
    move_to: Annotated[
        Path | None, typer.Option(help="Move each picture into a folder of its best label, in here.")
    ] = None,
    link_to: Annotated[Path | None, typer.Option(help="The same with symbolic links.")] = None,
    explain: Annotated[
        Path | None,
        typer.Option(help="Draw where in each picture its three best labels are, into this folder."),
    ] = None,
    server: Annotated[
        str | None, typer.Option(help="Ask a running service, http://host:port, in place of a model here.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="CANDID_API_KEY", help="The service's key.", show_envvar=True)
    ] = None,
    model: Model = None,
    device: Device = None,
    precision: Precision = None,
) -> None:
    """Rank labels for pictures: one, or folders of them."""
    settings = settings_of(model=None if server else model, device=device, precision=precision)
    from app.cli import label_set_argument
    from app.cli import question as questions
    from app.cli.batch.outputs import Output, check_apart
    from app.cli.batch.overlays import Overlays
    from app.cli.batch.report import Shown, digest, finished, under_way
    from app.cli.batch.run import Job
    from app.cli.batch.sorting import Sorter
    from app.cli.batch.sources import Sources
    from app.cli.bulk.run import BulkJob, on_ray

    changes = {
        "mode": mode,
        "threshold": threshold,
        "reject": reject,
        "reject_threshold": reject_threshold,
        "domain": domain,
    }
    options = (labels or [], template or [], label_set, changes, calibrated)
    try:
        if move_to and link_to:
            raise InvalidRequest("either --move-to or --link-to, not both")
        if as_json and (output or move_to or link_to):
            raise InvalidRequest("--json prints all answers at the end; with --output, name a .jsonl file")
        fields = questions.fields_of(*options, top_k, vocabulary)
        question = questions.question_of_fields(fields)
        if server:
            more = ({"model": model} if model else {}) | ({"explain": "overlay"} if explain else {})
            start = _remote(server, fields | more, api_key)
        else:
            start = _local(question, settings, explains=explain is not None)
        sorted_to = move_to or link_to
        who = f"server {model or ''}" if server else settings.specs[0]
        named = None if server or not output else question.name
        # A stored set that has changed since asks another question.
        version = label_set_argument.version_of(named, settings) if named else None
        asked = digest(fields, who, str(sorted_to), version)
        if ray is not None:
            if not output or as_json or sorted_to or explain or server:
                raise InvalidRequest(
                    "--ray wants an --output, and no --json, --move-to, --link-to, --explain or --server"
                )
            job = BulkJob(ray, tuple(pictures or ()), from_stdin, start, output, vectors=False, asked=asked)
            raise on_ray(job, settings, overwrite=overwrite)
        sources = Sources(tuple(pictures or ()), from_stdin, sorted_to)
        sources.check()
        kept = None
        if output:
            check_apart(Path(output), sources.arguments, "answers")
            kept = Output(Path(output), asked=asked, top_k=top_k, overwrite=overwrite)
        sorter = Sorter(sorted_to, move=move_to is not None) if sorted_to else None
        shown = Shown(as_json=as_json, quiet=kept is not None or sorter is not None)
        overlays = Overlays(explain) if explain else None
        run = Job(
            sources, start, shown, kept, sorter, under_way(settings), shown.leaves_room_for_a_bar, overlays
        )
        raise finished(run, shown)
    except CandidError as error:
        raise failed(error.message) from error


def _local(question: Question, settings: Settings, *, explains: bool) -> Callable[[], Asker]:
    def start() -> Asker:
        import models
        from app.cli.batch import local
        from app.model_loading import load_options
        from app.requests.classify import Explaining

        classifier = models.load(settings.specs[0], local.for_many(load_options(settings)))
        try:
            explaining = Explaining(overlay=True) if explains else None
            return local.Local(classifier, question, settings, explaining)
        except BaseException:
            classifier.close()
            raise

    return start


def _remote(url: str, question: dict[str, Any], api_key: str | None) -> Callable[[], Asker]:
    from app.cli.batch.remote import Remote

    service = Remote(url, question, api_key)
    return lambda: service
