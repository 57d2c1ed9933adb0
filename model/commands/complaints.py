"""How all commands complain: one line on standard error, one exit code. Knows the terminal, no command."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

FAILED = 2  # as typer ends for bad usage; 1 is a verdict, NG


def complain(text: str, kind: str = "error") -> None:
    """Write one line to standard error."""
    console = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
    console.print(f"{kind}: {text}", style="red" if kind == "error" else "yellow")


@contextmanager
def one_line_errors(*expected: type[Exception]) -> Iterator[None]:
    """End a command with the message of an error that a person can do something about, and exit code 2."""
    try:
        yield
    except expected as error:
        complain(str(error))
        raise typer.Exit(code=FAILED) from None
