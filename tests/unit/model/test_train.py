"""Training for real, on a tiny pair of ViTs and procedural images of 64 pixels."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model import checkpoint
from model.assembly import SSVP
from model.bundle import CLIP_FILE
from model.config import SSVP_LARGE
from model.curves import CURVES_FILE
from model.progress import Progress
from model.recipes import NANO, PAPER, recipe_for
from model.resume import RESUME_FILE
from model.runs import OtherRecipeError
from model.sources import ProceduralSource, epoch_order
from model.train import (
    TrainConfig,
    build_optimizer,
    forget_names,
    train,
)
from tests.configs import MICRO, TINY_VIT

CPU = torch.device("cpu")
QUICK = TrainConfig(steps=6, batch_size=4, warmup_steps=2, workers=0)


def _model() -> SSVP:
    torch.manual_seed(0)
    return SSVP(TINY_VIT)


def _ignore(step: int, total: int, losses: dict[str, float]) -> None:
    """Take a progress report and do nothing with it."""


def _source(model: SSVP, config: TrainConfig = QUICK) -> ProceduralSource:
    return ProceduralSource(model, CPU, config.steps, config.batch_size, config.seed, workers=0)


def _train(run: Path, config: TrainConfig = QUICK, progress: Progress = _ignore) -> SSVP:
    model = _model()
    train(model, config, _source(model, config), run, CPU, progress, save_every_s=-1.0)
    checkpoint.save_towers(model.clip, model.dino, run)
    return model


def _weights(run: Path) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in checkpoint.load_model(run).state_dict().items()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run, which no test may change."""
    folder = tmp_path_factory.mktemp("finished")
    _train(folder)
    return folder


@pytest.mark.parametrize("rate", [1e-6, 0.0])
def test_taught_rarity_experts_learn_at_their_own_rate(rate: float) -> None:
    """Each trained weight is in one group, the rarity experts' with the rate asked for them, or at rest."""
    model = SSVP(MICRO)
    optimizer = build_optimizer(model, replace(QUICK, rarity_learning_rate=rate))
    rates = {id(p): g["base_lr"] for g in optimizer.param_groups for p in g["params"]}
    trained = [*model.prompts.parameters(), *model.heads.parameters()]
    assert sorted(rates) == sorted(id(p) for p in trained)
    heads = dict(model.heads.named_parameters())
    assert {rates[id(p)] for n, p in heads.items() if n.startswith("rarity.")} == {rate}
    assert {rates[id(p)] for n, p in heads.items() if not n.startswith("rarity.")} == {1e-4}


def test_training_leaves_the_towers_untouched(finished: Path) -> None:
    """After training, both towers hold the very weights they came with; the heads do not."""
    before = _model().state_dict()
    after = _weights(finished)
    for name, value in before.items():
        if name.startswith(("clip.", "dino.")):
            assert torch.equal(value, after[name]), name
    assert not torch.equal(before["prompts.states"], after["prompts.states"])


class _StoppedError(Exception):
    """Stands for a machine that goes away."""


def _stop_at(last: int) -> Progress:
    def stop(step: int, total: int, losses: dict[str, float]) -> None:
        if step == last:
            raise _StoppedError

    return stop


def test_a_stopped_run_goes_on_to_the_same_weights(finished: Path, tmp_path: Path) -> None:
    """A run stopped after three steps and started again ends bit for bit where an unstopped one does."""
    with pytest.raises(_StoppedError):
        _train(tmp_path, progress=_stop_at(4))
    assert (tmp_path / RESUME_FILE).exists()
    seen: list[int] = []
    _train(tmp_path, progress=lambda step, *_: seen.append(step))
    assert seen[0] == 4
    assert not (tmp_path / RESUME_FILE).exists()
    whole, parts = _weights(finished), _weights(tmp_path)
    assert all(torch.equal(whole[k], parts[k]) for k in whole)
    curves = [(run / CURVES_FILE).read_text() for run in (finished, tmp_path)]
    assert curves[0] == curves[1]
    assert len(curves[0].splitlines()) == 1 + QUICK.steps


def test_an_unfinished_run_is_not_finished_by_another_recipe(tmp_path: Path) -> None:
    """Going on with another learning rate would make weights that no recipe describes: it is refused."""
    with pytest.raises(_StoppedError):
        _train(tmp_path, progress=_stop_at(2))
    with pytest.raises(OtherRecipeError, match="another recipe"):
        _train(tmp_path, replace(QUICK, head_learning_rate=1.0))
    _train(tmp_path)


def test_a_finished_run_stays_as_it_is(finished: Path, tmp_path: Path) -> None:
    """Asked for again nothing is trained; another recipe or other towers find the folder taken."""
    run = shutil.copytree(finished, tmp_path / "run")
    seen: list[int] = []
    _train(run, progress=lambda step, *_: seen.append(step))
    assert seen == []
    with pytest.raises(OtherRecipeError, match="other towers"):
        _train(run, replace(QUICK, seed=9))
    other = _model()
    torch.nn.init.zeros_(other.clip.model.visual.proj)
    with pytest.raises(OtherRecipeError, match="other towers"):
        train(other, QUICK, _source(other), run, CPU, _ignore)
    before, after = _weights(finished), _weights(run)
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_a_finished_run_whose_towers_were_taken_away_has_them_again(
    finished: Path, tmp_path: Path
) -> None:
    """Gigabytes that somebody saved: the same command brings them back, and trains nothing."""
    model = _model()
    (tmp_path / "towers").mkdir()
    checkpoint.save_towers(model.clip, model.dino, tmp_path / "towers")
    run = shutil.copytree(finished, tmp_path / "run")
    (run / CLIP_FILE).unlink()
    train(model, QUICK, _source(model), run, CPU, _ignore, towers=tmp_path / "towers")
    assert (run / CLIP_FILE).samefile(tmp_path / "towers" / CLIP_FILE)


def test_a_stopped_run_does_not_go_on_with_other_towers(tmp_path: Path) -> None:
    """Heads that learned from two pairs of towers fit neither."""
    with pytest.raises(_StoppedError):
        _train(tmp_path, progress=_stop_at(2))
    other = _model()
    torch.nn.init.zeros_(other.clip.model.visual.proj)
    with pytest.raises(OtherRecipeError, match="other towers"):
        train(other, QUICK, _source(other), tmp_path, CPU, _ignore)


def test_towers_of_a_run_folder_are_those_it_was_trained_on(tmp_path: Path) -> None:
    """What a folder held before is replaced, on the disk of the source nothing changes."""
    old, new, target = (tmp_path / name for name in ("old", "new", "target"))
    for folder, text in ((old, b"old"), (new, b"new"), (target, b"")):
        folder.mkdir()
        if text:
            (folder / "clip.safetensors").write_bytes(text)
    for source in (old, new, new):
        checkpoint.share_towers(source, target)
    assert [f.name for f in target.iterdir()] == ["clip.safetensors"]  # nothing is left half made
    assert not (target / "clip.safetensors").is_symlink()  # the source may be deleted
    assert (target / "clip.safetensors").read_bytes() == b"new"
    assert (old / "clip.safetensors").read_bytes() == b"old"


def test_every_epoch_shows_each_image_once_in_its_own_order() -> None:
    """15 rows in batches of 4: four batches an epoch, every row once, epochs differ, seeds differ."""
    order = epoch_order(15, 4, 2, seed=3)
    assert [len(b) for b in order] == [4, 4, 4, 3] * 2
    first, second = ([row for batch in order[i : i + 4] for row in batch] for i in (0, 4))
    assert sorted(first) == sorted(second) == list(range(15))
    assert first != second
    assert order == epoch_order(15, 4, 2, seed=3)
    assert order != epoch_order(15, 4, 2, seed=4)


def test_a_finished_run_records_how_it_was_made(finished: Path) -> None:
    """Recipe, number of images, hours and device stand beside the weights."""
    history = json.loads((finished / checkpoint.HISTORY_FILE).read_text())["train"]
    assert history["images"] == 2 * 2 * 6
    assert history["recipe"]["seed"] == QUICK.seed
    assert re.fullmatch(r"cpu, \w+, \d+ cores", history["device"])


def test_names_are_forgotten_at_the_given_rate() -> None:
    """About 40 % of the names become "object", the others stay as they are (D9)."""
    names = [f"part {i}" for i in range(5000)]
    found = forget_names(names, 0.4, torch.Generator().manual_seed(0))
    forgotten = sum(name == "object" for name in found)
    assert abs(forgotten / 5000 - 0.4) < 0.03
    assert all(new in (old, "object") for old, new in zip(names, found, strict=True))


def test_the_papers_recipe_is_the_default() -> None:
    """A preset without a recipe of its own is trained as the paper says; ssvp-nano has its own."""
    assert recipe_for(SSVP_LARGE.name) is PAPER
    assert (PAPER.prompt_learning_rate, PAPER.head_learning_rate) == (5e-4, 1e-4)
    assert (PAPER.losses.kl, PAPER.losses.vae, PAPER.losses.margin) == (0.1, 1.0, 0.5)
    assert PAPER.losses.margin_xi == 0.85
    assert recipe_for("ssvp-nano") is NANO
