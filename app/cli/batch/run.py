"""The run over many pictures: reading, decoding and encoding overlap, and a bounded number is under way.

One bad picture is its own error and never stops the rest. Knows neither model nor service: whoever answers is
started when the first picture needs an answer, and what is done with answers is handed in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from app.cli.batch.embeddings import Embedded
from app.cli.batch.outputs import Output
from app.cli.batch.overlays import Overlays
from app.cli.batch.sorting import Sorter
from app.cli.batch.sources import SourcePicture
from models.batching.read_ahead import read_ahead
from models.errors import ImageRejected, InvalidRequest

Answer = dict[str, Any]
Pending = Callable[[], Answer]


class Source(Protocol):
    """Where pictures are from: `Sources`, or texts in their place."""

    @property
    def arguments(self) -> tuple[str, ...]: ...
    @property
    def countable(self) -> bool: ...
    def __iter__(self) -> Iterator[SourcePicture]: ...


class Asker(Protocol):
    """Who answers: a model here (`local`) or a service (`remote`)."""

    @property
    def common(self) -> dict[str, Any]: ...  # what holds for all answers; of a service once it has answered
    @property
    def warnings(self) -> Sequence[str]: ...
    def ask(self, data: bytes) -> Pending: ...
    def score(self, embedded: Embedded) -> Answer: ...  # of a picture that was embedded before
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done, and with whom."""

    sources: Source
    start: Callable[[], Asker]
    show: Callable[[str, Answer], None]  # each answer, as it comes
    output: Output | None = None
    sorter: Sorter | None = None
    ahead: int = 64  # pictures under way
    bar: bool = True  # on standard error, if that is a terminal
    overlays: Overlays | None = None


@dataclass(slots=True)
class Tally:
    """How it went."""

    done: int = 0
    failed: int = 0
    before: int = 0  # done by an earlier run
    unsorted: int = 0
    seconds: float = 0.0
    common: dict[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()


def run(job: Job, tally: Tally) -> None:
    """Go through all pictures. `tally` is right at any time, also when the run is interrupted."""
    started = time.perf_counter()
    asker: Asker | None = None
    pending = _pending(job, tally)
    first = next(pending, None)
    try:
        if first is not None:
            asker = job.start()
            started = time.perf_counter()  # what is told is the speed of the pictures, not of loading a model
            with _counted(job) as step:
                under_way = begun(asker, chain([first], pending))
                for found, wait in read_ahead(under_way, pictures=job.ahead):
                    _keep(job, tally, found, wait())
                    step()
    finally:
        if asker is not None:
            tally.common, tally.warnings = asker.common, asker.warnings
            asker.close()
        tally.seconds = time.perf_counter() - started
    if job.output is not None:
        job.output.finish()


def _pending(job: Job, tally: Tally) -> Iterator[SourcePicture]:
    """The pictures that have no answer yet. A move that was cut short is finished on the way."""
    for found in job.sources:
        if job.sorter is not None and found.path is None:
            raise InvalidRequest(f"{found.name} is no file of its own: it cannot be sorted into a folder")
        if job.output is None or found.name not in job.output.done:
            yield found
            continue
        tally.before += 1
        target = job.output.done[found.name]
        if job.sorter is not None and found.path is not None and target:
            job.sorter.take(found.path, Path(target))


def begun(
    asker: Asker, pictures: Iterable[SourcePicture]
) -> Iterator[tuple[tuple[SourcePicture, Pending], int]]:
    """Each picture with what waits for its answer, and the bytes that are held for it."""
    for found in pictures:
        try:
            if found.embedded is not None:
                answer = asker.score(found.embedded)
                yield (found, partial(dict, answer)), found.embedded.vector.nbytes
                continue
            data = found.read()
            yield (found, asker.ask(data)), len(data)
        except ImageRejected as error:
            yield (found, _failed(error.code, error.message, error.reason)), 0
        except OSError as error:
            yield (found, _failed("unreadable", error.strerror or str(error), None)), 0


def _failed(code: str, message: str, reason: str | None) -> Pending:
    return lambda: {"error": {"code": code, "message": message, "reason": reason}}


def _keep(job: Job, tally: Tally, found: SourcePicture, answer: Answer) -> None:
    # The order makes an interruption harmless: place reserved, answer kept, picture moved.
    target = None
    if job.sorter is not None and found.path is not None:
        target = None if "error" in answer else job.sorter.place(found.path, answer)
        answer = answer | ({"sorted_to": str(target)} if target else {})
        tally.unsorted += target is None
    if job.overlays is not None:
        job.overlays.write(found.name, answer)
    if job.output is not None:
        job.output.write(found.name, answer)
    if job.sorter is not None and found.path is not None and target is not None:
        job.sorter.take(found.path, target)
    tally.done += 1
    tally.failed += "error" in answer
    job.show(found.name, answer)


class _Rate(ProgressColumn):
    """Pictures a second, of late."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "", style="progress.data.speed")


@contextmanager
def bar(*, wanted: bool = True, total: int | None = None) -> Iterator[Progress | None]:
    """A bar with rate and time left, of one task; None where nobody looks."""
    console = Console(stderr=True)
    if not wanted or not console.is_terminal:
        yield None
        return
    columns = (BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task("pictures", total=total)
        yield progress


@contextmanager
def _counted(job: Job) -> Iterator[Callable[[], None]]:
    """The bar of a run, whose pictures are counted on the way."""
    with bar(wanted=job.bar) as progress:
        if progress is None:
            yield lambda: None
            return
        [task] = progress.task_ids
        done = frozenset(job.output.done) if job.output is not None else frozenset()

        def count() -> None:
            with suppress(InvalidRequest):  # a list that cannot be read: the run tells it
                total = sum(found.name not in done for found in job.sources)
                progress.update(task, total=max(total, progress.tasks[task].completed))

        if job.sources.countable:  # beside the work: the first answer is not kept waiting for the last name
            threading.Thread(target=count, daemon=True, name="candid-count").start()
        yield lambda: progress.advance(task)
