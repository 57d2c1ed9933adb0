"""`ssvp data prepare` as its user sees it: the file, the table, the warnings, the errors."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model.cli import model_cli
from model.data.manifest import read_manifest
from model.data.sets import SETS
from tests.miniature import WRITERS

RUN = CliRunner()


@pytest.mark.parametrize("name", sorted(SETS))
def test_prepare_command_writes_a_manifest(name: str, tmp_path: Path) -> None:
    """The manifest, a table, and a warning with both numbers where a published count differs."""
    expected = WRITERS[name](tmp_path / name)
    out = tmp_path / "lists" / "set.jsonl"
    result = RUN.invoke(
        model_cli, ["data", "prepare", name, str(tmp_path / name), "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert read_manifest(out) == SETS[name].prepare(tmp_path / name)
    assert all(category in result.stdout for category in expected.test)
    if name == "folder":
        assert result.stderr == ""
    else:
        assert result.stderr.startswith("warning: ")
        assert str(SETS[name].references[0].test) in result.stderr


def test_prepare_command_takes_a_split_and_a_product(tmp_path: Path) -> None:
    """Only the rows asked for, named as asked for; missing masks are warned of."""
    WRITERS["btad"](tmp_path / "btad")
    out = tmp_path / "set.jsonl"
    _prepare("btad", tmp_path / "btad", out, "--split", "test")
    assert {r.split for r in read_manifest(out)} == {"test"}
    assert "01" in _prepare("btad", tmp_path / "btad", out, "--split", "train")
    assert {r.split for r in read_manifest(out)} == {"train"}
    WRITERS["folder"](tmp_path / "line3")
    shutil.rmtree(tmp_path / "line3" / "ground_truth")
    said = _prepare("folder", tmp_path / "line3", out, "--product", "gear wheel")
    assert {r.product for r in read_manifest(out)} == {"gear wheel"}
    assert "4 anomalous images have no mask" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mvtec", "absent", "--out", "x.jsonl"], "error: absent is no folder"),
        (["coco", ".", "--out", "x.jsonl"], "unknown set"),
        (["folder", ".", "--out", "x.csv"], "x.csv"),
        (["mvtec", ".", "--out", "x.jsonl", "--split", "some"], "is not one of"),
        (["mvtec", ".", "--out", "x.jsonl", "--product", "nut"], "--product"),
        (["rsdd", "rsdd", "--out", "x.jsonl", "--split", "train"], "no images of split train"),
    ],
)
def test_prepare_command_explains_itself(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, a message, no traceback, no manifest."""
    monkeypatch.chdir(tmp_path)
    WRITERS["rsdd"](tmp_path / "rsdd")
    result = RUN.invoke(model_cli, ["data", "prepare", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not list(tmp_path.glob("x.*"))


def _prepare(name: str, folder: Path, out: Path, *options: str) -> str:
    arguments = ["data", "prepare", name, str(folder), "--out", str(out), *options]
    result = RUN.invoke(model_cli, arguments)
    assert result.exit_code == 0, result.output
    return result.output
