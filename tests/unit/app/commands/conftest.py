"""The commands run as a person runs them, on a runtime of a few lines."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import cli
from tests.fakes import FakeRuntime, encode, grey

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return what runs `ssvp` in an empty folder, with the fake runtime where a bundle would be loaded."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("app.main.load_runtime", lambda _: FakeRuntime())
    monkeypatch.setattr("app.logs.configure_logging", lambda *_: logging.getLogger())

    def invoke(*words: object) -> Result:
        return CliRunner().invoke(cli, [str(word) for word in words])

    return invoke


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Return a folder of parts: `good` of 19 shades, `bad/light.png`, `bad/deep/lighter.jpg`."""
    folder = tmp_path / "parts"
    (folder / "good").mkdir(parents=True)
    (folder / "bad" / "deep").mkdir(parents=True)
    for i in range(19):
        (folder / "good" / f"{i:02}.png").write_bytes(encode(grey(50 + i)))
    (folder / "bad" / "light.png").write_bytes(encode(grey(200)))
    (folder / "bad" / "deep" / "lighter.jpg").write_bytes(encode(grey(250), "JPEG"))
    (folder / "bad" / "notes.txt").write_text("no picture")
    return folder
