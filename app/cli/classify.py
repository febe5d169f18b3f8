"""`candid classify`: one picture or a million, by a model here or by a running service.

The options are read and put together here; the work is done in `app/cli/batch/`. Torch is not imported
before a model is needed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from app.cli.options import Device, Precision, failed, settings_of
from app.settings import Settings
from models.errors import CandidError, InvalidRequest
from models.labels.label_set import Mode
from models.labels.vocabularies import VocabularyName

if TYPE_CHECKING:
    from app.cli.batch.run import Asker, Job, Tally
    from app.requests.question import Question

BATCHES_AHEAD = 2  # pictures under way, so that decoding goes on while the encoder works
INTERRUPTED = 130  # exit code after Ctrl-C, as the shell has it


def classify(
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pictures, folders, globs, tars, or CSV/Parquet lists with a column path or file; "
            "- reads one picture from standard input."
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
        Path | None,
        typer.Option("--output", "-o", help="Write a row a picture: .csv, .jsonl or .parquet. Continues it."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin the output anew.")] = False,
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
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="embedded, architecture/tag, hf-hub:org/name or a directory."),
    ] = None,
    device: Device = None,
    precision: Precision = None,
) -> None:
    """Rank labels for pictures: one, or folders of them."""
    settings = settings_of(model=None if server else model, device=device, precision=precision)
    from app.cli import label_set_argument
    from app.cli import question as questions
    from app.cli.batch.outputs import Output
    from app.cli.batch.overlays import Overlays
    from app.cli.batch.run import Job
    from app.cli.batch.sorting import Sorter
    from app.cli.batch.sources import Sources

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
        sources = Sources(tuple(pictures or ()), from_stdin, sorted_to)
        sources.check()
        kept = None
        if output:
            if any(Path(source).resolve() == output.resolve() for source in sources.arguments):
                raise InvalidRequest(f"{output} is read from: write the answers to another file")
            who = f"server {model or ''}" if server else settings.specs[0]
            named = None if server else question.name
            # A stored set that has changed since asks another question.
            version = label_set_argument.version_of(named, settings) if named else None
            asked = _digest(fields, who, str(sorted_to), version)
            kept = Output(output, asked=asked, top_k=top_k, overwrite=overwrite)
        sorter = Sorter(sorted_to, move=move_to is not None) if sorted_to else None
        shown = _Shown(as_json=as_json, quiet=kept is not None or sorter is not None)
        ahead = max(64, BATCHES_AHEAD * settings.max_batch)
        overlays = Overlays(explain) if explain else None
        job = Job(sources, start, shown, kept, sorter, ahead, shown.leaves_room_for_a_bar, overlays)
        raise _finished(job, shown)
    except CandidError as error:
        raise failed(error.message) from error


def _finished(job: Job, shown: _Shown) -> typer.Exit:
    """Run, and say how it went."""
    from contextlib import nullcontext

    from app.cli.batch.run import Tally, run

    tally, code = Tally(), 0
    try:
        with job.output or nullcontext():
            run(job, tally)
    except KeyboardInterrupt:
        again = "; the same command goes on from here" if job.output else ""
        typer.echo(f"candid: interrupted after {tally.done} pictures{again}", err=True)
        code = INTERRUPTED
    except CandidError as error:
        if not tally.done:
            raise
        raise failed(f"{error.message} (after {tally.done} pictures)") from error
    except OSError as error:
        raise failed(f"{error.filename or 'output'}: {error.strerror or error}") from error
    if not tally.done and not tally.before and not code:
        raise InvalidRequest("there are no pictures in " + (", ".join(job.sources.arguments) or "the list"))
    shown.end(tally, job)
    return typer.Exit(code or (1 if tally.failed else 0))


class _Shown:
    """What is printed: answers as they come, or one JSON document, or only what went wrong."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self._as_json, self._quiet = as_json, quiet
        self._results: list[dict[str, Any]] = []
        self._console = Console()

    @property
    def leaves_room_for_a_bar(self) -> bool:
        return self._as_json or self._quiet or not self._console.is_terminal

    def __call__(self, name: str, answer: dict[str, Any]) -> None:
        from app.cli import question as questions

        if self._as_json:
            self._results.append({"name": name, **answer})
        elif not self._quiet:
            questions.print_answer(self._console, name, answer)
        elif "error" in answer:
            typer.echo(f"candid: {name}: {answer['error']['message']}", err=True)

    def end(self, tally: Tally, job: Job) -> None:
        """The document, or the warnings and, of a quiet run, the count."""
        if self._as_json:
            answer = {**tally.told, "results": self._results, "warnings": list(tally.warnings)}
            typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
            return
        for warning in tally.warnings:
            typer.echo(f"candid: warning: {warning}", err=True)
        if self._quiet or tally.done > 1:
            typer.echo(f"candid: {_summary(tally, job)}", err=True)


def _summary(tally: Tally, job: Job) -> str:
    words = "1 picture" if tally.done == 1 else f"{tally.done} pictures"
    if tally.done and tally.seconds:
        words += f" in {tally.seconds:.1f} s ({tally.done / tally.seconds:.1f}/s)"
    if tally.before:
        words += f", {tally.before} done before"
    if tally.failed:
        words += f", {tally.failed} could not be read"
    if job.sorter and tally.unsorted > tally.failed:
        words += f", {tally.unsorted - tally.failed} left in place because no label fits"
    return words + (f": {job.output.path}" if job.output else "")


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


def _digest(*question: Any) -> str:
    """Stands for the question in the rows of an output."""
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:12]
