"""The `ssvp` command: the service's commands and the model's under one name.

Knows which commands there are and which packages an installation may lack. A command imports torch or the web
framework only when it runs.
"""

import sys

import typer

from app.commands.bench import bench
from app.commands.bundle import bundle_cli
from app.commands.calibrate import calibrate
from app.commands.detect import detect
from app.commands.environment import list_settings
from app.commands.evaluate import evaluate
from app.commands.profiles import profiles_cli
from app.commands.serve import serve
from app.cores import let_waiting_threads_sleep
from model.cli import model_cli

cli = typer.Typer(no_args_is_help=True, help="Visual inspection as a service.")
for name, command in (
    ("detect", detect),
    ("calibrate", calibrate),
    ("bench", bench),
    ("settings", list_settings),
    ("serve", serve),
    ("evaluate", evaluate),
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
