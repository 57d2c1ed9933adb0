"""`ssvp evaluate` on a few images: its figures, its files, its complaints."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from app.cli import cli
from tests.fakes import encode


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
    done = CliRunner().invoke(cli, ["evaluate", bundle, "--data", str(data), "--out", str(out)])
    assert done.exit_code == 0, done.output
    report = json.loads((out / "report.json").read_text())
    assert report["macro"]["pixel_auroc"] > 0.9
    assert "| plate | all | 4 |" in (out / "report.md").read_text()


def test_evaluate_says_where_the_paper_does_not_compare(tmp_path: Path) -> None:
    """Four images in a folder called MVTec-AD are not MVTec-AD; the pictures name their files."""
    data, out = _mvtec(tmp_path / "mvtec_part"), tmp_path / "new" / "out"
    arguments = ["evaluate", "mahalanobis", "--data", str(data), "--out", str(out)]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert "not 467 + 1258" in " ".join(done.output.split())
    assert "<figcaption>good/" in (out / "pictures.html").read_text()


def test_evaluate_measures_the_families_that_were_held_out() -> None:
    """One pair a family, under a name of one's own."""
    arguments = ["evaluate", "mahalanobis", "--pairs", "1", "--product", "plate"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert "leather" in done.output


def test_evaluate_says_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    """In one line, with the folder's name."""
    done = CliRunner().invoke(cli, ["evaluate", "mahalanobis", "--data", str(tmp_path)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert tmp_path.name in done.stderr
    assert len(done.stderr.splitlines()) == 1
