"""The commands one after another, as `make train-nano` runs them, on towers small enough for a test."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from app.engine.decode import decode
from app.runtime.protocol import Query
from app.runtime.ssvp import load_runtime
from model.bundle import read_bundle
from model.cli import model_cli
from model.commands import options
from tests.configs import MICRO

RUN = CliRunner()


def _ssvp(*arguments: str) -> str:
    result = RUN.invoke(model_cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_from_nothing_to_a_bundle_that_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pretrain, train, export; the runtime loads the bundle, which remembers how it was made."""
    monkeypatch.setattr(options, "PRESETS", {"micro": MICRO})
    towers, run, folder = (str(tmp_path / name) for name in ("towers", "run", "bundle"))
    few = ("--steps", "2", "--workers", "0", "--device", "cpu")
    _ssvp("pretrain", "--config", "micro", "--out", towers, *few)
    _ssvp("train", "--towers", towers, "--out", run, *few)
    _ssvp("export", run, folder, "--version", "7.0", "--pairs", "2")
    manifest = read_bundle(folder).manifest
    assert (manifest.name, manifest.version) == ("micro", "7.0")
    assert set(manifest.training) == {"pretrain", "train"}
    assert manifest.metrics["procedural"]["pairs_per_family"] == 2
    runtime = load_runtime(folder, "cpu")
    golden = runtime.info.golden
    image = runtime.prepare(decode(golden.png, 10**6))
    found = runtime.predict([Query(image, golden.product)])[0]
    assert abs(found.score - golden.score) <= golden.tolerance


def test_an_unknown_preset_is_refused() -> None:
    """With the names that are known."""
    result = RUN.invoke(model_cli, ["pretrain", "--config", "ssvp-huge"])
    assert result.exit_code == 2
    assert "ssvp-nano" in result.output


@pytest.mark.parametrize("preset", ["ssvp-base", "ssvp-fast", "ssvp-large"])
def test_pretraining_a_vit_is_refused_at_once(preset: str, tmp_path: Path) -> None:
    """The last line, below the empty bar, says what pretraining is for; nothing is written."""
    out = tmp_path / "towers"
    result = RUN.invoke(model_cli, ["pretrain", "--config", preset, "--out", str(out)])
    assert result.exit_code == 2
    complaint = result.output.splitlines()[-1]
    assert complaint.startswith(f"error: {preset} has a ViT as CLIP tower: pretraining is for")
    assert "Traceback" not in result.output
    assert not out.exists()


def test_an_unknown_split_is_refused() -> None:
    """With the names that are known, not as one that has no images."""
    result = RUN.invoke(model_cli, ["train", "--config", "ssvp-nano", "--split", "tset"])
    assert result.exit_code == 2
    assert "'tset' is not one of" in result.output


@pytest.mark.parametrize(
    "command",
    [
        "pretrain",
        "train --config ssvp-nano",
        "export RUN BUNDLE",
        "reproduce --table 1 --config ssvp-nano --towers TOWERS --train-on A --test-on B",
        "build static --towers TOWERS --out BUNDLE",
    ],
)
def test_a_device_that_is_not_there_is_refused_first(command: str) -> None:
    """In one line that says what there is, before anything else is looked for."""
    result = RUN.invoke(model_cli, [*command.split(), "--device", "gpu"])
    assert result.exit_code == 2
    assert result.output.startswith("error: device 'gpu': this machine has cpu")
    assert len(result.output.splitlines()) == 1


@pytest.mark.parametrize("flags", [[], ["--defects"]])
def test_contact_sheets(tmp_path: Path, flags: list[str]) -> None:
    """An image file to look at, not empty."""
    out = tmp_path / "sheet.png"
    _ssvp("data", "sheet", str(out), "--size", "48", "--columns", "8", *flags)
    assert np.asarray(Image.open(out)).std() > 20


def test_twins(tmp_path: Path) -> None:
    """Two images of one scene, named after what they show."""
    _ssvp("data", "twins", str(tmp_path), "--family", "gear", "--size", "64")
    good, bad = sorted(tmp_path.iterdir(), key=lambda f: "good" not in f.name)
    assert good.name == "gear-good.png"
    assert bad.name.startswith("gear-")
    assert (np.asarray(Image.open(good)) != np.asarray(Image.open(bad))).any()


@pytest.mark.parametrize(
    "words",
    [
        "sheet sheet.png --columns 0",
        "sheet sheet.png --size 0",
        "sheet sheet",
        "sheet nowhere/sheet.png --size 16",
        "twins pairs --size -1",
        "render pairs --size 0",
    ],
)
def test_pictures_that_cannot_be_drawn_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """As bad usage or in one line, not with a traceback."""
    monkeypatch.chdir(tmp_path)
    result = RUN.invoke(model_cli, ["data", *words.split()])
    assert result.exit_code == 2, result.output
    assert not list(tmp_path.iterdir())


def test_what_a_person_can_mend_is_one_line(tmp_path: Path) -> None:
    """And exit code 2, as for bad usage: 1 would say NG."""
    result = RUN.invoke(model_cli, ["export", str(tmp_path / "run"), str(tmp_path / "bundle")])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.output
