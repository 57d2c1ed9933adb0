"""What `ssvp` says of itself, and how fast it is there."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from app.cli import cli


def _commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    inside = getattr(group, "commands", None)
    if inside is None:
        yield words
        return
    for name, command in inside.items():
        yield from _commands(command, (*words, name))


def _parameters(group: Any) -> Iterator[Any]:
    yield from group.params
    for command in getattr(group, "commands", {}).values():
        yield from _parameters(command)


def test_no_help_text_is_taken_for_markup() -> None:
    """What stands in brackets would vanish: a default that nobody is told of."""
    texts = [str(getattr(p, "help", "")) for p in _parameters(typer.main.get_command(cli))]
    assert len(texts) > 50
    assert [text for text in texts if "[" in text] == []


@pytest.mark.parametrize("words", list(_commands(typer.main.get_command(cli))), ids=" ".join)
def test_every_command_has_an_example(words: tuple[str, ...]) -> None:
    """That begins with the command itself, or with a variable that it honours."""
    done = CliRunner().invoke(cli, [*words, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    example = done.stdout.split("Example: ", 1)[1]
    assert f"ssvp {' '.join(words)}" in example


def test_help_needs_neither_torch_nor_the_service() -> None:
    """It is there at once: what takes seconds to import is imported by the command that needs it."""
    code = (
        "import sys; sys.argv = ['ssvp', '--help']\n"
        "from app.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'onnxruntime', 'scipy', 'numpy', 'PIL', 'fastapi', 'uvicorn'}\n"
        "print('imported:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "imported: []"
    assert "detect" in done.stdout
