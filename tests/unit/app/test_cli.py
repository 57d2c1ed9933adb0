"""The command line's own words; what it does as a process is tested in `tests/api/test_command.py`."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from app import cli
from app.settings import Settings
from tests.fakes import encode


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


def _mvtec(root: Path) -> Path:
    """Write a folder in MVTec-AD's layout: one product, two good parts, two with a bright spot."""
    rng = np.random.default_rng(3)
    for kind in ("good", "spot"):
        (root / "plate" / "test" / kind).mkdir(parents=True)
        for number in range(2):
            image = rng.integers(100, 120, (64, 64), dtype=np.uint8)
            if kind == "spot":
                mask = np.zeros((64, 64), dtype=np.uint8)
                mask[20:34, 20:34] = 255
                image[mask > 0] = 250
                truth = root / "plate" / "ground_truth" / kind
                truth.mkdir(parents=True, exist_ok=True)
                (truth / f"{number:03}_mask.png").write_bytes(encode(mask))
            (root / "plate" / "test" / kind / f"{number:03}.png").write_bytes(encode(image))
    return root


@pytest.mark.parametrize("bundle", ["ssvp-nano", "mahalanobis"])
def test_evaluate_measures_a_folder(bundle: str, tmp_path: Path) -> None:
    """The shipped model and the untrained baseline find a bright spot; both reports are written."""
    data, out = _mvtec(tmp_path / "data"), tmp_path / "out"
    done = CliRunner().invoke(cli.cli, ["evaluate", bundle, "--data", str(data), "--out", str(out)])
    assert done.exit_code == 0, done.output
    report = json.loads((out / "report.json").read_text())
    assert report["macro"]["pixel_auroc"] > 0.9
    assert "| plate | all | 4 |" in (out / "report.md").read_text()


def test_evaluate_says_where_the_paper_does_not_compare(tmp_path: Path) -> None:
    """Four images in a folder called MVTec-AD are not MVTec-AD; the pictures name their files."""
    data, out = _mvtec(tmp_path / "mvtec_part"), tmp_path / "new" / "out"
    arguments = ["evaluate", "mahalanobis", "--data", str(data), "--out", str(out)]
    done = CliRunner().invoke(cli.cli, arguments)
    assert done.exit_code == 0, done.output
    assert "not 467 + 1258" in " ".join(done.output.split())
    assert "<figcaption>good/" in (out / "pictures.html").read_text()


def test_evaluate_measures_the_families_that_were_held_out() -> None:
    """One pair a family, under a name of one's own."""
    arguments = ["evaluate", "mahalanobis", "--pairs", "1", "--product", "plate"]
    done = CliRunner().invoke(cli.cli, arguments)
    assert done.exit_code == 0, done.output
    assert "leather" in done.output


def test_evaluate_says_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    """With the folder's name, and without a traceback."""
    done = CliRunner().invoke(cli.cli, ["evaluate", "mahalanobis", "--data", str(tmp_path)])
    assert done.exit_code == 2
    assert tmp_path.name in "".join(done.output.split())
    assert "Traceback" not in done.output


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


def test_a_keys_file_that_cannot_be_read_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that should ask for keys never runs without."""
    monkeypatch.setenv("SSVP_API_KEYS_FILE", str(tmp_path / "nowhere"))
    monkeypatch.setattr(cli, "configure_logging", lambda *_: None)
    done = CliRunner().invoke(cli.cli, ["serve"])
    assert done.exit_code == 1
    assert "nowhere cannot be read" in caplog.text
