"""All commands that make models, mounted into `ssvp` by the service's command line."""

import typer

from model.commands.build import build_cli
from model.commands.data import data_cli
from model.commands.make import export, pretrain, train
from model.commands.reproduce import reproduce
from model.commands.weights import fetch

model_cli = typer.Typer(no_args_is_help=True, help="Make models.")
for command in (fetch, pretrain, train, export, reproduce):
    model_cli.command()(command)
model_cli.add_typer(build_cli, name="build")
model_cli.add_typer(data_cli, name="data")
