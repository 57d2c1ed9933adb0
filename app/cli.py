"""The `ssvp` command: the service's commands and the model's under one name.

Knows which commands there are and which packages an installation may lack. A command imports torch or the web
framework only when it runs.
"""

import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from app.commands.bench import bench
from app.commands.bundle import bundle_cli
from app.commands.calibrate import calibrate
from app.commands.detect import detect
from app.commands.environment import list_settings, read_settings
from app.commands.profiles import profiles_cli
from app.cores import let_waiting_threads_sleep
from app.errors import StartError
from app.garbage import lasting
from app.logs import configure_logging
from model.cli import model_cli
from model.data.row import PROCEDURAL

cli = typer.Typer(no_args_is_help=True, help="Visual inspection as a service.")
for name, command in (
    ("detect", detect),
    ("calibrate", calibrate),
    ("bench", bench),
    ("settings", list_settings),
):
    cli.command(name)(command)
cli.add_typer(profiles_cli, name="profiles")
cli.add_typer(bundle_cli, name="bundle")
cli.add_typer(model_cli)


# What the extra `train` installs and these commands import.
_EXTRA = {"cv2", "onnx", "onnxscript", "sklearn"}


def main() -> None:
    """Run `ssvp`; a command that needs the extra packages says so in one line."""
    let_waiting_threads_sleep()
    try:
        cli()
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        sys.exit(f"error: {error.name} is not installed; pip install 'ssvp-inspect[train]'")


@cli.command()
def serve() -> None:
    """Run the service; SSVP_* variables configure it, `ssvp settings` lists them.

    Example: SSVP_PORT=9000 ssvp serve
    """
    with lasting():
        from app.http.server import Server
        from app.main import create_app

    settings = read_settings()
    configure_logging(settings.log_level, settings.log_format)
    try:
        app = create_app(settings)
    except StartError as error:
        logging.getLogger(__name__).error("start failed: %s", error)
        raise typer.Exit(code=1) from None
    server = Server(settings, app)
    # uvicorn raises the signal that stopped it again once it is done: an orderly end is a success.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_orderly)
    try:
        server.run()  # raises the signal that stopped it again
    finally:
        if server.failed:
            os._exit(1)  # a driver whose device hangs keeps an orderly exit waiting for ever
    raise typer.Exit(code=0 if server.started else 1)


@cli.command()
def evaluate(
    bundle: Annotated[
        str,
        typer.Argument(help="Bundle folder, name of a shipped one, or mahalanobis: the baseline."),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="Manifest of `ssvp data prepare`, folder in MVTec-AD's layout, or 'procedural', the held-out"
            " families."
        ),
    ] = PROCEDURAL,
    out: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder for report.json, report.md and pictures.html."),
    ] = None,
    product: Annotated[
        str | None, typer.Option(help="Product name to use instead of each category's.")
    ] = None,
    pairs: Annotated[int, typer.Option(help="Procedural pairs per family.")] = 200,
    pictures: Annotated[
        int, typer.Option(min=0, help="Pictures per category in the report; 0: none.")
    ] = 6,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:0.")] = "auto",
) -> None:
    """Measure a bundle on images it was not trained on.

    Example: ssvp evaluate ssvp-nano --data mvtec.jsonl --out runs/evaluate
    """
    from app.evaluation import EvaluationRequest
    from app.evaluation import evaluate as measure
    from model.data.row import DataLayoutError

    request = EvaluationRequest(bundle, data, product, pairs, device, out, pictures)
    try:
        measure(request, Console())
    except (StartError, DataLayoutError) as error:
        raise typer.BadParameter(str(error)) from None


def _exit_orderly(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    sys.exit(0)
