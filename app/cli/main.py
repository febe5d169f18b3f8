"""The `candid` command. Each subcommand is a few lines onto the same core that the service uses.

Torch is imported only by the commands that need it, so that `candid --help` answers at once.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from app.cli import calibrate, classify, embed, evaluate, label_sets, terminal
from app.cli.options import Device, Model, Precision, settings_of
from models.pretrained import catalogue

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Classify any image with any labels.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def serve(
    model: Model = None,
    also: Annotated[list[str] | None, typer.Option("--also", help="Another model to load beside it.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    device: Device = None,
    precision: Precision = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that speak HTTP and read pictures; 1: all in one process.")
    ] = None,
) -> None:
    """Start the service. Everything else is set by CANDID_* variables (docs/operations.md)."""
    settings = settings_of(
        model=model,
        models=tuple(also) if also else None,
        host=host,
        port=port,
        device=device,
        precision=precision,
        workers=workers,
    )
    if settings.workers > 1:
        from app.workers import supervisor

        raise typer.Exit(supervisor.run(settings))
    from app import serve as alone

    raise typer.Exit(alone.run(settings))


app.command()(classify.classify)
app.command()(embed.embed)
app.command()(evaluate.evaluate)
app.command()(calibrate.calibrate)
app.add_typer(label_sets.app, name="label-sets")


@app.command("models")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List pretrained models worth choosing, with licence, size and accuracy."""
    if as_json:
        from dataclasses import asdict

        typer.echo(json.dumps([asdict(row) for row in catalogue.CATALOGUE], indent=2))
    else:
        terminal.print_catalogue(catalogue.CATALOGUE)


def main() -> None:
    """Entry point of the `candid` script."""
    app()
