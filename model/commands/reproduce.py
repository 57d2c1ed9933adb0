"""Reproduce the paper's tables.

Knows the command's options; `model.reproduce` does the work.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model.commands.complaints import one_line_errors
from model.commands.options import (
    Change,
    Device,
    Workers,
    changed,
    config_of,
    making_errors,
    progress_bar,
)


def reproduce(
    table: Annotated[
        str, typer.Option(help="1 to 5 as in the paper; gamma, xi: its sweeps; decisions: ours.")
    ],
    towers: Annotated[
        Path, typer.Option(help="Run folder with the towers; others stand beside it.")
    ],
    data: Annotated[
        Path | None, typer.Option(help="Folder with visa.jsonl, mvtec.jsonl and so on.")
    ] = None,
    train_on: Annotated[
        Path | None, typer.Option(help="One manifest to train on, in place of --data.")
    ] = None,
    test_on: Annotated[
        Path | None, typer.Option(help="With --train-on: the manifest to test on.")
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="Preset; by default the one the towers were made for.")
    ] = None,
    change: Change = None,
    out: Annotated[Path, typer.Option(help="Folder of all runs and tables.")] = Path(
        "runs/reproduce"
    ),
    seeds: Annotated[int, typer.Option(min=1, help="Seeds each row is trained from.")] = 3,
    epochs: Annotated[int | None, typer.Option(help="Passes over the manifest.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for the towers' tokens, computed once an image.")
    ] = None,
    device: Device = "auto",
    workers: Workers = 2,
) -> None:
    """Train and measure the rows of a table, ours beside the paper's; goes on where it was stopped.

    Example: ssvp reproduce --table 3 --towers runs/ssvp-large-towers --data manifests --cache /big/tokens
    """
    from model.devices import device_named
    from model.reproduce.matrix import protocol
    from model.reproduce.matrix import reproduce as run_matrix
    from model.reproduce.runs import ExperimentSetup
    from model.reproduce.variants import TABLES

    if table not in TABLES:
        raise typer.BadParameter(f"unknown table {table!r}; known: {', '.join(TABLES)}")
    if (train_on is None) != (test_on is None) or (data is None) == (train_on is None):
        raise typer.BadParameter("give either --data, or --train-on and --test-on")
    pairs = [(train_on, test_on)] if train_on and test_on else protocol(data or Path(), table)
    if not pairs:
        raise typer.BadParameter(f"{data} lacks the manifests of table {table}: visa.jsonl, ...")
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    with one_line_errors(*making_errors()):
        setup = ExperimentSetup(
            towers=towers,
            config=changed(config_of(config, towers), change),
            out=out,
            device=device_named(device),
            recipe={} if epochs is None else {"epochs": epochs},
            workers=workers,
            cache=cache,
            progress_bar=progress_bar,
        )
        summary = run_matrix(table, setup, pairs, seeds, console.print)
    Console().print(summary.read_text(), markup=False, soft_wrap=True)
    console.print(f"wrote {summary}")
