"""The command line's own words; what it does as a process is tested in `tests/api/test_command.py`."""

import pytest

from app import cli


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
