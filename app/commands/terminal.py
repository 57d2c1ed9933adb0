"""What the commands share of the terminal: output, progress, what they expect to fail, the options in common.

Knows typer and rich; knows nothing of inspections. What is asked for goes to standard output, all else to
standard error, so that a pipe gets the answer alone.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from app.client.errors import SSVPError
from app.errors import ServiceError, StartError
from model.bundle import BundleError
from model.commands.complaints import FAILED

# Exit codes of commands that inspect.
ALL_OK, ANY_NG, ANY_ERROR = 0, 1, FAILED
# What a person can do something about.
SERVICE_ERRORS = (SSVPError, ServiceError, StartError, BundleError, OSError)

Url = Annotated[
    str | None,
    typer.Option(help="Ask a running service instead of loading the bundle here."),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--api-key-file", help="File that holds the API key, where the service asks."),
]
BundleName = Annotated[
    str | None, typer.Option("--bundle", help="Bundle to load here. (default: SSVP_BUNDLE)")
]
DeviceName = Annotated[
    str | None, typer.Option("--device", help="auto, cpu or cuda:0. (default: SSVP_DEVICE)")
]
ProductsFile = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False, help="Product profiles, without --url. (default: SSVP_PRODUCTS_FILE)"
    ),
]
RoiText = Annotated[
    str | None, typer.Option("--roi", help="x,y,width,height: inspect only this part.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, nothing else.")]


def write_line(text: str, style: str = "") -> None:
    """Write one line for people to standard output, whole however long it is."""
    _console().print(text, style=style, soft_wrap=True)


def write_table(table: Table) -> None:
    """Write a table for people to standard output, within the terminal's width."""
    _console().print(table)


def _console() -> Console:
    return Console(highlight=False, markup=False)  # brackets are letters, numbers are not coloured


@contextlib.contextmanager
def progress_bar(title: str, total: float | None) -> Iterator[Callable[[float], None]]:
    """Show what is done and how long it still takes, on a terminal only; yields what counts one up."""
    console = Console(stderr=True)
    columns = [SpinnerColumn(), TextColumn("{task.description}")]
    if total is not None:
        columns += [BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)
