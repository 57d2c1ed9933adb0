"""`ssvp settings`, and the settings of a command: SSVP_* variables, complained of in one line each.

Knows the environment; makes nothing of what it says.
"""

import os

import typer
from pydantic import ValidationError
from rich.table import Table

from app.commands.terminal import write_table
from app.settings import PREFIX, Settings, unknown_variables
from model.commands.complaints import FAILED, complain


def list_settings() -> None:
    """List every SSVP_* variable with its value, default and meaning.

    Example: SSVP_QUEUE_SIZE=16 ssvp settings
    """
    values = read_settings()
    table = Table("variable", "value", "default", "meaning")
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        table.add_row(
            PREFIX + name.upper(), str(getattr(values, name)), str(default), field.description
        )
    write_table(table)


def read_settings() -> Settings:
    """Read the environment; a value that cannot be used ends the process with one line that says why."""
    for complaint in unknown_variables(os.environ):
        complain(complaint, "warning")
    try:
        return Settings()
    except ValidationError as error:
        for e in error.errors(include_url=False):
            complain(f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}")
        raise typer.Exit(code=FAILED) from None
