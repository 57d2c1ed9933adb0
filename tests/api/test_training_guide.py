"""docs/training.md, command by command, on miniature data sets and towers."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.cli import cli
from app.main import create_app
from app.settings import Settings
from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.commands import options
from tests.configs import TINY_VIT
from tests.miniature import WRITERS
from tests.serving import wait_for

GUIDE = Path(__file__).parents[2] / "docs" / "training.md"
TINY = replace(TINY_VIT, name="ssvp-large")
# What the miniature needs beside what the guide says: files in place of a download, fewer images.
ADDED = {
    "fetch": ["--clip-file", "clip.pt", "--dino-file", "dino.pth"],
    "train": ["--device", "cpu", "--workers", "0"],
    "export": ["--pairs", "2", "--device", "cpu"],
    "build": ["--pairs", "2", "--device", "cpu"],
    "evaluate": ["--device", "cpu"],
}


def _commands(section: str) -> list[list[str]]:
    """Return the commands of the first block of a section, its words as a shell would give them."""
    text = GUIDE.read_text()
    after = text[text.index(section) :]
    found = re.search(r"```sh\n(.*?)```", after, re.DOTALL)
    assert found is not None
    return [shlex.split(line) for line in found[1].replace("\\\n", " ").splitlines()]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with the data sets under the guide's names and weights as files."""
    folder = tmp_path_factory.mktemp("guide")
    WRITERS["visa"](folder / "VisA")
    WRITERS["mvtec"](folder / "mvtec_anomaly_detection")
    WRITERS["folder"](folder / "my_parts")
    torch.manual_seed(0)
    torch.save(ClipTower(TINY).model.state_dict(), folder / "clip.pt")
    torch.save(DinoTower(TINY).model.state_dict(), folder / "dino.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(options, "PRESETS", {TINY.name: TINY})
        yield folder


def _run(words: list[str]) -> None:
    assert words[0] == "ssvp"
    arguments = [*words[1:], *ADDED.get(words[1], [])]
    if "procedural" in words:
        arguments += ["--steps", "2"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, f"{words}: {result.output}"


@pytest.mark.filterwarnings("ignore:.*TestClient.*")
def test_the_guide_leads_from_two_data_sets_to_a_served_bundle(workplace: Path) -> None:
    """Fewer than ten commands; the report is there and the service answers with the new bundle."""
    commands = _commands("# From weights")
    assert len(commands) < 10
    assert commands[0][0] == "pip"
    *work, serve = commands[1:]
    for words in work:
        _run(words)
    for name in ("report.json", "report.md", "pictures.html"):
        assert (workplace / "runs" / "report" / name).stat().st_size > 0
    assert serve[1:] == ["ssvp", "serve"]
    name, bundle = serve[0].split("=")
    assert name == "SSVP_BUNDLE"
    settings = Settings(bundle=bundle, device="cpu")
    with TestClient(create_app(settings)) as client:
        wait_for(lambda: client.get("/readyz").status_code == 200)
        image = next((workplace / "VisA").rglob("*.JPG")).read_bytes()
        answer = client.post("/v1/detect", content=image, params={"product": "candle"}).json()
        assert answer["model"]["name"] == TINY.name
        assert 0.0 <= answer["score"] <= 1.0


@pytest.mark.parametrize(
    "section", ["## No VisA at hand", "## No time to train", "## One's own data", "## Other models"]
)
def test_the_guides_other_ways_work(workplace: Path, section: str) -> None:
    """The generator in place of VisA, no training at all, one's own parts, other configurations."""
    if not (workplace / "runs" / "ssvp-large-towers").exists():
        for words in _commands("# From weights")[1:4]:
            _run(words)
    for words in _commands(section):
        # Blocks beyond those of the miniature towers would not fit.
        _run([w.replace("[6,12,18,24]", "[2,4]") for w in words])
