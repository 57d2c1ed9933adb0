"""`ssvp bundle`: what is said of a bundle, and whether it is whole."""

import shutil
from pathlib import Path

import pytest

from model.bundle import SHIPPED, open_bundle
from tests.unit.app.commands.conftest import Run


def test_a_bundle_is_described(run: Run) -> None:
    """Its digest in one piece, to copy; every file with its size."""
    done = run("bundle", "info", "ssvp-nano")
    assert done.exit_code == 0, done.output
    bundle = open_bundle("ssvp-nano")
    assert bundle.digest in done.stdout
    assert "heads.onnx" in done.stdout
    assert f"{bundle.manifest.default_threshold:.4f}" in done.stdout


def test_a_whole_bundle_is_verified(run: Run) -> None:
    """With its digest; --golden asks the loaded one too."""
    done = run("bundle", "verify", "ssvp-nano", "--golden")
    assert done.exit_code == 0, done.output
    assert "all files are as exported" in done.stdout
    assert "golden image: " in done.stdout


@pytest.mark.parametrize("damage", ["changed", "gone", "no manifest"])
def test_a_damaged_bundle_is_told_in_one_line(run: Run, tmp_path: Path, damage: str) -> None:
    """Which file, and what is wrong; exit code 2."""
    folder = tmp_path / "bundle"
    shutil.copytree(SHIPPED / "ssvp-nano", folder)
    if damage == "changed":
        with (folder / "heads.onnx").open("ab") as file:
            file.write(b"x")
    elif damage == "gone":
        (folder / "heads.onnx").unlink()
    else:
        (folder / "bundle.json").unlink()
    done = run("bundle", "verify", folder)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert ("heads.onnx" in done.stderr) == (damage != "no manifest")
