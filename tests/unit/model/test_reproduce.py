"""The matrix of runs on rendered images: every row once, nothing twice, the paper's figures beside ours."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from model.assembly import SSVP
from model.checkpoint import save_towers
from model.config import SSVP_BASE, SSVP_LARGE, SSVP_NANO, SSVPConfig
from model.data.manifest import read_manifest, write_manifest_rows
from model.progress import Progress
from model.reference import paper_tables
from model.reproduce import runs as reproduce_runs
from model.reproduce.matrix import protocol, reproduce
from model.reproduce.paper import paper_value
from model.reproduce.runs import ExperimentSetup, Run
from model.reproduce.summary import cells
from model.reproduce.variants import FULL, TABLES, variants_of
from tests.configs import TINY_VIT
from tests.miniature import rows_of
from tests.towers import write_towers


@contextmanager
def _no_bar(title: str) -> Iterator[Progress]:
    yield lambda step, total, losses: None


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two manifests of the same rows."""
    folder = tmp_path_factory.mktemp("sets")
    rows = rows_of(folder / "data")
    for name in ("visa", "mvtec"):
        write_manifest_rows([replace(r, dataset=name) for r in rows], folder / f"{name}.jsonl")
    return folder


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> ExperimentSetup:
    """Return towers and a cache, all tiny; runs are told apart by what is in them and serve all tests."""
    folder = tmp_path_factory.mktemp("setup")
    towers = write_towers(folder / "towers", TINY_VIT)
    recipe = {"epochs": 1, "batch_size": 4}
    out, cache, cpu = folder / "out", folder / "cache", torch.device("cpu")
    return ExperimentSetup(towers, TINY_VIT, out, cpu, recipe, 0, cache, _no_bar)


def test_ablation_runs_every_row_and_goes_on_where_it_was(
    setup: ExperimentSetup, sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Table 3 from nothing; called again it trains and measures nothing, and says the same."""
    pairs = protocol(sets, "3")
    assert pairs == [(sets / "visa.jsonl", sets / "mvtec.jsonl")]
    summary = reproduce("3", setup, pairs, seeds=2, tell=lambda _: None)
    found = json.loads((setup.out / "table-3.json").read_text())
    assert [c["row"] for c in found["cells"][::2]] == [v.label for v in TABLES["3"]]
    assert all(c["seeds"] == 2 and 0.0 <= c["ours"] <= 100.0 for c in found["cells"])
    text = summary.read_text()
    assert "(93.0)" in text
    monkeypatch.setattr(reproduce_runs, "run_training", None)  # calling it would fail
    monkeypatch.setattr(reproduce_runs, "measure", None)
    assert reproduce("3", setup, pairs, seeds=2, tell=lambda _: None).read_text() == text


def test_tables_share_runs(setup: ExperimentSetup, sets: Path) -> None:
    """The full model is one run, whichever table asks for it; another seed or recipe is another."""
    run = Run(setup, FULL, sets / "visa.jsonl", 1)
    same = next(v for v in TABLES["4"] if v.label == "full")
    assert Run(setup, same, sets / "visa.jsonl", 1).folder == run.folder
    assert Run(setup, FULL, sets / "visa.jsonl", 2).folder != run.folder
    assert Run(setup, FULL, sets / "mvtec.jsonl", 1).folder != run.folder
    other = replace(setup, recipe={"epochs": 2})
    assert Run(other, FULL, sets / "visa.jsonl", 1).folder != run.folder


def test_figures_of_one_data_set_are_not_told_for_another(
    setup: ExperimentSetup, sets: Path, tmp_path: Path
) -> None:
    """A manifest of the same name elsewhere, or with other rows, is another run and another report."""
    rows = read_manifest(sets / "visa.jsonl")
    for name in ("visa", "mvtec"):
        write_manifest_rows(rows[2:], tmp_path / f"{name}.jsonl")
    run = Run(setup, FULL, sets / "visa.jsonl", 1)
    before = run.report(sets / "mvtec.jsonl")
    assert _images(run.report(tmp_path / "mvtec.jsonl")) == _images(before) - 2
    assert Run(setup, FULL, tmp_path / "visa.jsonl", 1).folder != run.folder


def test_runs_are_told_apart_by_the_weights_of_their_towers(
    setup: ExperimentSetup, sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made anew in the same folder they are other towers; elsewhere, by a relative path, the same."""
    folder = Run(setup, FULL, sets / "visa.jsonl", 1).folder
    shutil.copytree(setup.towers, tmp_path / "towers")
    monkeypatch.chdir(tmp_path)
    moved = replace(setup, towers=Path("towers"))
    assert Run(moved, FULL, sets / "visa.jsonl", 1).folder == folder
    torch.manual_seed(1)
    other = SSVP(TINY_VIT)
    save_towers(other.clip, other.dino, tmp_path / "towers")
    assert Run(moved, FULL, sets / "visa.jsonl", 1).folder != folder


class _StoppedError(Exception):
    """Stands for a machine that goes away."""


def test_a_run_that_dies_while_its_towers_are_copied_is_not_taken_for_trained(
    setup: ExperimentSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a file is there, on a disk without links; asked again, the run is made and loads."""
    write_manifest_rows(rows_of(tmp_path / "rows"), tmp_path / "copied.jsonl")
    run = Run(setup, FULL, tmp_path / "copied.jsonl", 1)

    def refuse(path: Path, target: Path) -> None:
        raise OSError

    def die(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:1000])
        raise _StoppedError

    with monkeypatch.context() as broken:
        broken.setattr(Path, "hardlink_to", refuse)
        broken.setattr(shutil, "copyfile", die)
        with pytest.raises(_StoppedError):
            run.model()
    assert not run.model().training


def _images(report: dict[str, Any]) -> int:
    return sum(c["normal"] + c["anomalous"] for c in report["categories"].values())


def test_baselines_and_alignment_come_from_the_same_command(
    setup: ExperimentSetup, sets: Path
) -> None:
    """Table 1 holds the untrained and the linear row beside ours; table 4 the figures of alignment."""
    pairs = [(sets / "visa.jsonl", sets / "mvtec.jsonl")]
    reproduce("1", setup, pairs, seeds=1, tell=lambda _: None)
    found = json.loads((setup.out / "table-1.json").read_text())["cells"]
    assert {c["row"] for c in found} == {"static prompts", "linear head on DINO", "SSVP"}
    assert {c["metric"] for c in found} >= {"image_auroc", "pixel_auroc", "pro"}
    reproduce("4", setup, pairs, seeds=1, tell=lambda _: None)
    alignment = json.loads((setup.out / "table-4.json").read_text())["cells"]
    assert {c["metric"] for c in alignment} == {"TIR-FG", "SCD-normal", "SCD-abnormal"}


def test_the_papers_figures_stand_beside_the_version_that_was_measured(
    setup: ExperimentSetup, tmp_path: Path
) -> None:
    """The rows say which it is, not the file; what differs from what others measured stands below the table."""
    rows = [replace(r, dataset="ksdd2-crops") for r in rows_of(tmp_path / "rows")]
    write_manifest_rows(rows, tmp_path / "ksdd2.jsonl")
    pairs = [(tmp_path / "ksdd2.jsonl", tmp_path / "ksdd2.jsonl")]
    text = reproduce("1", setup, pairs, seeds=1, tell=lambda _: None).read_text()
    assert "| SSVP | ksdd2-crops |" in text
    assert "- ksdd2-crops: Measured here: 4 + 4 images (normal + anomalous), not 356 + 356" in text
    assert "- ksdd2-crops: RSDD and KSDD2 baseline rows look like another split" in text
    assert "same set" not in text


def test_towers_nobody_fetched_are_reported_not_invented(
    setup: ExperimentSetup, sets: Path
) -> None:
    """Table 5 runs the row whose towers are there and names the others."""
    pairs = [(sets / "visa.jsonl", sets / "mvtec.jsonl")]
    told: list[str] = []
    reproduce("5", setup, pairs, seeds=1, tell=told.append)
    found = json.loads((setup.out / "table-5.json").read_text())
    assert {c["row"] for c in found["cells"]} == {"DINOv3 ViT-L"}
    assert len(found["not_run"]) == 4


def test_rows_of_table_5_differ_in_the_tower_alone() -> None:
    """As large as the paper says, all at the same blocks."""
    paper = paper_tables()["table5"]
    for variant in TABLES["5"]:
        config = variant.config(SSVP_LARGE)
        assert config.dino_blocks == SSVP_LARGE.dino_blocks
        with torch.device("meta"):
            tower = timm.create_model(config.dino_model, num_classes=0)
        millions = sum(p.numel() for p in tower.parameters()) / 1e6
        assert millions == pytest.approx(paper[variant.label]["params_m"], abs=0.6)


@pytest.mark.parametrize(
    ("base", "rows"),
    [
        (SSVP_LARGE, ["SSVP", "D1", "D3: mean", "D4", "D4", "D4", "D11"]),
        (SSVP_BASE, ["SSVP", "D1", "D3: mean", "D4", "D4", "D4"]),
        (SSVP_NANO, ["SSVP", "D1", "D3: maximum", "D4", "D4", "D4", "D16"]),
        (
            replace(SSVP_LARGE, clip_blocks=(8, 16, 24), dino_blocks=(3, 6, 9)),
            ["SSVP", "D1", "D3: mean", "D4", "D4", "D4"],
        ),
    ],
    ids=["large", "base", "nano", "three levels"],
)
def test_decisions_a_model_takes_anyway_are_no_rows(base: SSVPConfig, rows: list[str]) -> None:
    """They would share the full model's run, as if without effect; no tower is asked for blocks it lacks."""
    variants = variants_of("decisions", base)
    assert all(v.label.startswith(row) for v, row in zip(variants, rows, strict=True))
    changed = [(v.config(base), tuple(v.losses.items())) for v in variants]
    assert all(changed.count(c) == 1 for c in changed)


def test_visa_is_tested_after_training_on_mvtec(tmp_path: Path) -> None:
    """The cross-data-set protocol never tests on what it trained on; absent sets are left out."""
    for name in ("visa", "mvtec", "btad"):
        (tmp_path / f"{name}.jsonl").touch()
    pairs = [(s.stem, t.stem) for s, t in protocol(tmp_path, "1")]
    assert pairs == [("visa", "mvtec"), ("mvtec", "visa"), ("visa", "btad")]


def test_paper_values_are_found_by_row_set_and_class() -> None:
    """One figure of each table, as the paper prints it."""
    assert paper_value("1", "SSVP", "visa", None, "pro") == 90.5
    assert paper_value("1", "static prompts", "mvtec", None, "image_auroc") == 88.7
    assert paper_value("2", "SSVP", "mvtec", "metal_nut", "image_auroc") == 78.8
    assert paper_value("3", "D", "mvtec", None, "pixel_auroc") == 92.5
    assert paper_value("3", "D", "btad", None, "pixel_auroc") is None
    assert paper_value("4", "full", "mvtec", None, "TIR-FG") == 0.4425
    assert paper_value("5", "DINOv3 ViT-B", "mvtec", None, "image_auroc") == 92.2


def test_a_cell_is_mean_and_spread_of_its_seeds() -> None:
    """Two seeds of .5 and .7: 60 ± 14.14 percent; an undefined figure is left out of both."""
    reports = [{"macro": {"image_auroc": v, "pixel_auroc": float("nan")}} for v in (0.5, 0.7)]
    image, pixel = cells("3", "D", "mvtec", reports)
    assert image.ours == pytest.approx(60.0)
    assert image.spread == pytest.approx(14.142, abs=1e-3)
    assert (pixel.ours, pixel.seeds) == (None, 0)
