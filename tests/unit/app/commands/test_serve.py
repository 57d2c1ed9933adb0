"""How `ssvp serve` ends where it cannot begin; as a process it is tested in `tests/api/test_command.py`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli


def test_a_keys_file_that_cannot_be_read_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that should ask for keys never runs without."""
    monkeypatch.setenv("SSVP_API_KEYS_FILE", str(tmp_path / "nowhere"))
    monkeypatch.setattr("app.commands.serve.configure_logging", lambda *_: None)
    done = CliRunner().invoke(cli, ["serve"])
    assert done.exit_code == 1
    assert "nowhere cannot be read" in caplog.text
