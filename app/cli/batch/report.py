"""How a run over many pictures is shown, and how it ends: the last line and the exit code."""

from __future__ import annotations

import hashlib
import json
from contextlib import nullcontext
from typing import Any, Final

import typer
from rich.console import Console

from app.cli.batch.run import Job, Tally, run
from app.cli.options import failed
from app.cli.question import print_answer
from app.settings import Settings
from models.errors import CandidError, InvalidRequest

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as the shell has it."""


def finished(job: Job, shown: Shown) -> typer.Exit:
    """Run, and say how it went."""
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


class Shown:
    """What is printed: answers as they come, or one JSON document, or only what went wrong."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self._as_json, self._quiet = as_json, quiet
        self._results: list[dict[str, Any]] = []
        self._console = Console()

    @property
    def leaves_room_for_a_bar(self) -> bool:
        return self._as_json or self._quiet or not self._console.is_terminal

    def __call__(self, name: str, answer: dict[str, Any]) -> None:
        if self._as_json:
            self._results.append({"name": name, **answer})
        elif not self._quiet:
            print_answer(self._console, name, answer)
        elif "error" in answer:
            typer.echo(f"candid: {name}: {answer['error']['message']}", err=True)

    def end(self, tally: Tally, job: Job) -> None:
        """The document, or the warnings and, of a quiet run, the count."""
        if self._as_json:
            answer = {**tally.common, "results": self._results, "warnings": list(tally.warnings)}
            typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
            return
        for warning in tally.warnings:
            typer.echo(f"candid: warning: {warning}", err=True)
        if self._quiet or tally.done > 1:
            typer.echo(f"candid: {_summary(tally, job)}", err=True)


def _summary(tally: Tally, job: Job) -> str:
    words = summary(tally)
    if job.sorter and tally.unsorted > tally.failed:
        words += f", {tally.unsorted - tally.failed} left in place because no label fits"
    return words + (f": {job.output.path}" if job.output else "")


def summary(tally: Tally) -> str:
    """How many pictures, how fast, and what became of the others."""
    words = "1 picture" if tally.done == 1 else f"{tally.done} pictures"
    if tally.done and tally.seconds:
        words += f" in {tally.seconds:.1f} s ({tally.done / tally.seconds:.1f}/s)"
    if tally.before:
        words += f", {tally.before} done before"
    if tally.failed:
        words += f", {tally.failed} could not be read"
    return words


def under_way(settings: Settings) -> int:
    """Pictures at once: two batches and more, so that decoding goes on while the encoder works."""
    return max(64, 2 * settings.max_batch)


def digest(*question: Any) -> str:
    """Stands for the question in the rows of an output."""
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:12]
