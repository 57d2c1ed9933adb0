"""Build a bundle that needs no training.

Knows the command's options; `model.baselines.static` makes the model, `model.export` the bundle.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model.commands.complaints import one_line_errors
from model.commands.options import Device, making_errors

build_cli = typer.Typer(no_args_is_help=True, help="Build bundles that need no training.")


@build_cli.command()
def static(
    towers: Annotated[Path, typer.Option(help="Run folder that holds the towers.")],
    out: Annotated[Path, typer.Option(help="Folder to write the bundle to.")],
    version: Annotated[str, typer.Option(help="Version of the bundle.")] = "0.1.0",
    pairs: Annotated[
        int, typer.Option(help="Procedural pairs to choose thresholds and to measure on.")
    ] = 20,
    device: Device = "auto",
) -> None:
    """Write a bundle of the CLIP tower with a fixed ensemble of prompts, after WinCLIP.

    Example: ssvp build static --towers runs/ssvp-large-towers --out bundles/ssvp-large-static
    """
    from model.baselines.static import static_config
    from model.checkpoint import load_config, load_history, load_untrained
    from model.devices import device_named
    from model.export import export_measured

    with one_line_errors(*making_errors()):
        where = device_named(device)
        config = static_config(load_config(towers))
        model = load_untrained(towers, config).eval()
        export_measured(
            model, out, version, pairs, load_history(towers), where, Console(stderr=True)
        )
