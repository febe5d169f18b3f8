"""What the subcommands share: options that mean the same everywhere, settings, and how a command fails."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic import ValidationError

from app.settings import Settings

Model = Annotated[
    str | None,
    typer.Option("--model", "-m", help="embedded, architecture/tag, hf-hub:org/name or a directory."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Begin the output anew.")]
Ray = Annotated[
    str | None,
    typer.Option(
        help="Run on Ray: local, or a cluster's address. Folders may be URLs (s3://…), so is the output."
    ),
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Precision = Annotated[str | None, typer.Option(help="auto, fp32, fp16 or bf16.")]


def settings_of(**options: Any) -> Settings:
    """The environment's settings with what the command line says on top."""
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        problems = "\n".join(f"{_place(problem['loc'])}: {problem['msg']}" for problem in error.errors())
        raise failed(problems) from error


def _place(where: tuple[int | str, ...]) -> str:
    return ".".join(map(str, where)) or "settings"  # of a rule about several of them


def failed(message: str) -> typer.Exit:
    """Say what is wrong on standard error; the exit code of a usage error."""
    typer.echo(f"candid: {message}", err=True)
    return typer.Exit(2)
