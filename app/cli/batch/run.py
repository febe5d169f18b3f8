"""The run over many pictures: reading, decoding and encoding overlap, and a bounded number is under way.

One bad picture is its own error and never stops the rest. Knows neither model nor service: whoever answers is
started when the first picture needs an answer, and what is done with answers is handed in.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from app.cli.batch.outputs import Output
from app.cli.batch.sorting import Sorter
from app.cli.batch.sources import SourcePicture, Sources
from models.errors import ImageRejected, InvalidRequest

AHEAD_BYTES: Final = 256 << 20
"""Bytes of the pictures under way: large ones are fewer at a time."""

Answer = dict[str, Any]
Pending = Callable[[], Answer]


class Asker(Protocol):
    """Who answers: a model here (`local`) or a service (`remote`)."""

    @property
    def told(self) -> dict[str, Any]: ...  # what holds for all answers; of a service once it has answered
    @property
    def warnings(self) -> Sequence[str]: ...
    def ask(self, data: bytes) -> Pending: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done, and with whom."""

    sources: Sources
    start: Callable[[], Asker]
    show: Callable[[str, Answer], None]  # each answer, as it comes
    output: Output | None = None
    sorter: Sorter | None = None
    ahead: int = 64  # pictures under way
    bar: bool = True  # on standard error, if that is a terminal


@dataclass(slots=True)
class Tally:
    """How it went."""

    done: int = 0
    failed: int = 0
    before: int = 0  # done by an earlier run
    unsorted: int = 0
    seconds: float = 0.0
    told: dict[str, Any] = field(default_factory=dict)
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
            with _bar(job) as step:
                for found, answer in _answered(asker, first, pending, job.ahead):
                    _keep(job, tally, found, answer)
                    step()
    finally:
        if asker is not None:
            tally.told, tally.warnings = asker.told, asker.warnings
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


def _answered(
    asker: Asker, first: SourcePicture, others: Iterator[SourcePicture], ahead: int
) -> Iterator[tuple[SourcePicture, Answer]]:
    """Every picture's answer, in order, with bounded numbers of pictures and bytes under way."""
    under_way: deque[tuple[SourcePicture, Pending, int]] = deque()
    held = 0
    found: SourcePicture | None = first
    while found is not None or under_way:
        if found is None or len(under_way) >= ahead or held > AHEAD_BYTES:
            done, pending, size = under_way.popleft()
            held -= size
            yield done, pending()
            continue
        try:
            data = found.read()
            under_way.append((found, asker.ask(data), len(data)))
            held += len(data)
        except ImageRejected as error:
            under_way.append((found, _failed(error.code, error.message, error.reason), 0))
        except OSError as error:
            under_way.append((found, _failed("unreadable", error.strerror or str(error), None), 0))
        found = next(others, None)


def _failed(code: str, message: str, reason: str | None) -> Pending:
    return lambda: {"error": {"code": code, "message": message, "reason": reason}}


def _keep(job: Job, tally: Tally, found: SourcePicture, answer: Answer) -> None:
    # The order makes an interruption harmless: place reserved, answer kept, picture moved.
    target = None
    if job.sorter is not None and found.path is not None:
        target = None if "error" in answer else job.sorter.place(found.path, answer)
        answer = answer | ({"sorted_to": str(target)} if target else {})
        tally.unsorted += target is None
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
def _bar(job: Job) -> Iterator[Callable[[], None]]:
    """A bar with rate and time left; nothing where nobody looks."""
    console = Console(stderr=True)
    if not job.bar or not console.is_terminal:
        yield lambda: None
        return
    columns = (BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("pictures", total=None)
        done = frozenset(job.output.done) if job.output is not None else frozenset()

        def count() -> None:
            progress.update(task, total=sum(found.name not in done for found in job.sources))

        if job.sources.countable:  # beside the work: the first answer is not kept waiting for the last name
            threading.Thread(target=count, daemon=True, name="candid-count").start()
        yield lambda: progress.advance(task)
