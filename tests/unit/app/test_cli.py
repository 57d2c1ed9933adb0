"""The command line's own words; what it does as a process is tested in `tests/api/test_command.py`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app import cli
from app.settings import Settings


@pytest.mark.parametrize("package", sorted(cli._EXTRA))
def test_a_missing_extra_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that only serves says what training needs, without a traceback."""

    def command() -> None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(cli, "cli", command)
    with pytest.raises(SystemExit, match=rf"{package}.*ssvp-inspect\[train\]"):
        cli.main()


def test_any_other_missing_module_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps its traceback."""

    def command() -> None:
        raise ModuleNotFoundError("No module named 'app.nothing'", name="app.nothing")

    monkeypatch.setattr(cli, "cli", command)
    with pytest.raises(ModuleNotFoundError):
        cli.main()


def test_settings_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its value and its default; a name that is none is pointed out."""
    monkeypatch.setenv("SSVP_PORT", "9000")
    monkeypatch.setenv("SSVP_IMAGE_ROOTS", "/data/line3, /data/line4")
    monkeypatch.setenv("SSVP_PROT", "1")
    monkeypatch.setenv("COLUMNS", "200")
    done = CliRunner().invoke(cli.cli, ["settings"])
    assert done.exit_code == 0, done.output
    assert all(f"SSVP_{name.upper()}" in done.stdout for name in Settings.model_fields)
    assert "9000" in done.stdout
    assert Settings().image_roots == (Path("/data/line3"), Path("/data/line4"))
    assert "did you mean SSVP_PORT" in done.stderr
