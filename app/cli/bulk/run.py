"""The run on Ray: blocks out to the actors, parts into a folder; what is there already is not done again."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import typer

from app.cli.batch import parquet
from app.cli.batch.embeddings import ENDINGS
from app.cli.batch.report import INTERRUPTED, summary, under_way
from app.cli.batch.run import Asker, Tally, bar
from app.cli.bulk.blocks import Block, blocks
from app.cli.bulk.store import Parts
from app.extras import ExtraMissing
from app.settings import Settings
from models.errors import InvalidRequest

ANSWER_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class BulkJob:
    """What is to be done, and where."""

    address: str  # of Ray; "local" starts one on this machine
    arguments: tuple[str, ...]
    from_stdin: bool
    start: Callable[[], Asker]  # in each actor
    output: str  # a folder: path or URL
    vectors: bool  # or rankings
    asked: str


def on_ray(job: BulkJob, settings: Settings, *, overwrite: bool) -> typer.Exit:
    """Run, and say how it went. Raises CandidError."""
    if Path(job.output).suffix.lower() in (".csv", *ENDINGS):
        raise InvalidRequest(f"{job.output}: with --ray an output is a folder, of Parquet files")
    parts = Parts(job.output)
    parts.make()
    if overwrite:
        parts.remove()
    done = set(_done(parts, job.asked))
    todo = list(blocks(job.arguments, from_stdin=job.from_stdin, done=done))
    tally, code = Tally(before=len(done)), 0
    if todo:
        with _connected(job.address):
            try:
                _run(job, settings, parts, todo, tally)
            except KeyboardInterrupt:
                typer.echo("candid: interrupted; the same command goes on from here", err=True)
                code = INTERRUPTED
    elif not done:
        raise InvalidRequest("there are no pictures in " + (", ".join(job.arguments) or "the list"))
    for warning in tally.warnings:
        typer.echo(f"candid: warning: {warning}", err=True)
    typer.echo(f"candid: {summary(tally)}: {job.output}", err=True)
    return typer.Exit(code or (1 if tally.failed else 0))


def _run(job: BulkJob, settings: Settings, parts: Parts, todo: list[Block], tally: Tally) -> None:
    import ray
    from ray.exceptions import RayError

    from app.cli.bulk.worker import Worker

    started = time.perf_counter()
    rows = [{"block": json.dumps(asdict(block))} for block in todo]
    answers = ray.data.from_items(rows).map(
        Worker,
        fn_constructor_args=(job.start, parts, job.vectors, job.asked, under_way(settings)),
        **_actors(ray, settings, len(todo)),
    )
    try:
        with bar(total=sum(len(block.names) for block in todo)) as progress:
            for answer in answers.iter_rows():
                if answer["refused"]:
                    raise InvalidRequest(answer["refused"])
                tally.done += answer["done"]
                tally.failed += answer["failed"]
                tally.warnings = json.loads(answer["warnings"])
                tally.seconds = time.perf_counter() - started
                if progress is not None:
                    progress.advance(progress.task_ids[0], answer["done"])
    except RayError as error:
        raise InvalidRequest(f"Ray: {error}") from error


def _actors(ray: Any, settings: Settings, blocks: int) -> dict[str, Any]:
    """One a GPU where there are any, else one a machine, with all of its cores."""
    gpus = int(ray.cluster_resources().get("GPU", 0))
    if gpus and settings.device != "cpu":
        return {"num_gpus": 1, "compute": ray.data.ActorPoolStrategy(size=min(gpus, blocks))}
    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    working = [count for count in cores if count]
    size = min(max(1, len(working)), blocks)
    return {"num_cpus": max(1, min(working, default=1)), "compute": ray.data.ActorPoolStrategy(size=size)}


def _done(parts: Parts, asked: str) -> Iterator[str]:
    """Names of the pictures that have a row."""
    for part in parts.names():
        with parts.open(part) as file:
            for name, question in parquet.names_in(file, f"{parts.url}/{part}"):
                if question != asked:
                    raise InvalidRequest(
                        f"{parts.url} holds answers to another question (other labels, another model or "
                        "other options): name another folder, or --overwrite it"
                    )
                yield name


def _answers(address: str) -> None:
    """Raises InvalidRequest where nobody listens: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in address:
        try:
            socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
        except (OSError, OverflowError) as error:
            raise InvalidRequest(f"--ray {address}: {error}") from error


@contextmanager
def _connected(address: str) -> Iterator[None]:
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ExtraMissing("--ray needs Ray: pip install 'candid[ray]'") from error
    _answers(address)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # its warnings are about how it is called
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address == "local":
            os.environ.setdefault("RAY_worker_niceness", "0")  # nobody else is asked to give way to it
            ray.init(address="local", include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InvalidRequest(f"--ray {address}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()
